// SPDX-License-Identifier: MIT
//
// SocketAddress: where a socket is or goes: IPv4, IPv6 or unix (a path or an abstract name). A
// value; unused bytes are zero, so that equality is that of the bytes the system sees.
//
// Names are not looked up here; that is net/'s dns. Numbers are canonical only: "127.1",
// "0x7f000001" and "127.0.0.01" are refused, since two parsers that disagree about an address are
// a hole in somebody's access list (catalogue E2).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace asyncio {

class SocketAddress {
  public:
    static constexpr std::size_t capacity = 128;  // sizeof(sockaddr_storage)

    /// No address: family AF_UNSPEC, empty text.
    SocketAddress() noexcept : size_(0) {}

    /// "127.0.0.1" or "::1" (also "fe80::1%eth0"); nullopt when it is neither.
    static std::optional<SocketAddress> parse(std::string_view host, std::uint16_t port);

    /// What to_string() prints: "127.0.0.1:80", "[::1]:80"; with a slash in it, a unix path.
    static std::optional<SocketAddress> parse(std::string_view text);

    /// A unix path, or an abstract name when the first byte is NUL. std::invalid_argument when it
    /// is longer than the system takes or holds a NUL elsewhere.
    static SocketAddress unix_path(std::string_view path);

    /// A copy of the system's form. REQUIRES: size <= capacity.
    static SocketAddress from_raw(const sockaddr* address, std::size_t size) noexcept;

    int family() const noexcept;
    bool is_unix() const noexcept;

    /// The number without port; for unix the path (abstract: with its leading NUL).
    std::string host() const;
    std::uint16_t port() const noexcept;         // 0 for unix
    void set_port(std::uint16_t port) noexcept;  // REQUIRES: IPv4 or IPv6

    /// "127.0.0.1:80", "[::1]:80", "/run/x.sock", "@abstract", "" for none or an unnamed one.
    std::string to_string() const;

    const sockaddr* raw() const noexcept { return reinterpret_cast<const sockaddr*>(storage_); }
    sockaddr* raw() noexcept { return reinterpret_cast<sockaddr*>(storage_); }
    std::uint32_t size() const noexcept { return size_; }
    void set_size(std::uint32_t size) noexcept { size_ = size; }  // after the system wrote raw()

    bool operator==(const SocketAddress& other) const noexcept { return compare(other) == 0; }
    std::strong_ordering operator<=>(const SocketAddress& other) const noexcept {
        return compare(other) <=> 0;
    }

    /// As to_string().
    friend std::ostream& operator<<(std::ostream& out, const SocketAddress& address);

  private:
    int compare(const SocketAddress& other) const noexcept;

    alignas(8) std::byte storage_[capacity] = {};
    std::uint32_t size_;
};

}  // namespace asyncio
