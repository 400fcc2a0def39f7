// SPDX-License-Identifier: MIT
#include <asyncio/os/socket_address.hpp>

#include <cassert>
#include <charconv>
#include <cstring>
#include <ostream>
#include <stdexcept>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace asyncio {
namespace {

static_assert(SocketAddress::capacity == sizeof(sockaddr_storage));

constexpr std::size_t unix_path_offset = offsetof(sockaddr_un, sun_path);

template <class T>
T load(const SocketAddress& address) noexcept {
    T value;
    std::memcpy(&value, address.raw(), sizeof value);
    return value;
}

template <class T>
SocketAddress store(const T& value) noexcept {
    return SocketAddress::from_raw(reinterpret_cast<const sockaddr*>(&value), sizeof value);
}

template <class Number>
bool parse_number(std::string_view text, Number& number) noexcept {
    if (text.empty() || (text.size() > 1 && text.front() == '0')) return false;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && rest == end;
}

/// "2" or "eth0"; 0 when there is no such interface.
std::uint32_t parse_scope(const std::string& text) {
    std::uint32_t scope = 0;
    if (parse_number(text, scope)) return scope;
    return ::if_nametoindex(text.c_str());
}

std::optional<SocketAddress> parse_ipv6(std::string_view host, std::uint16_t port) {
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    if (const std::size_t percent = host.find('%'); percent != host.npos) {
        address.sin6_scope_id = parse_scope(std::string(host.substr(percent + 1)));
        if (address.sin6_scope_id == 0) return std::nullopt;
        host = host.substr(0, percent);
    }
    const std::string text(host);
    if (::inet_pton(AF_INET6, text.c_str(), &address.sin6_addr) != 1) return std::nullopt;
    return store(address);
}

}  // namespace

std::optional<SocketAddress> SocketAddress::parse(std::string_view host, std::uint16_t port) {
    if (host.find('\0') != host.npos) return std::nullopt;
    if (host.find(':') != host.npos) return parse_ipv6(host, port);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    // glibc's inet_pton takes four decimal numbers without leading zeros, nothing else.
    const std::string text(host);
    if (::inet_pton(AF_INET, text.c_str(), &address.sin_addr) != 1) return std::nullopt;
    return store(address);
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view text) {
    if (text.find('\0') != text.npos) return std::nullopt;
    if (text.find('/') != text.npos) {
        if (text.size() >= sizeof(sockaddr_un::sun_path)) return std::nullopt;
        return unix_path(text);
    }
    const std::size_t colon = text.rfind(':');
    std::uint16_t port = 0;
    if (colon == text.npos || !parse_number(text.substr(colon + 1), port)) return std::nullopt;
    const std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) return parse_ipv6(host.substr(1, host.size() - 2), port);
    if (host.find(':') != host.npos) return std::nullopt;
    return parse(host, port);
}

SocketAddress SocketAddress::unix_path(std::string_view path) {
    sockaddr_un address = {};
    const bool abstract = !path.empty() && path.front() == '\0';
    const std::size_t limit = sizeof address.sun_path - (abstract ? 0 : 1);
    if (path.size() > limit) throw std::invalid_argument("unix socket path is too long");
    if (path.empty()) throw std::invalid_argument("unix socket path is empty");
    if (!abstract && path.find('\0') != path.npos)
        throw std::invalid_argument("unix socket path holds a NUL");
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const std::size_t terminator = abstract ? 0 : 1;
    return from_raw(reinterpret_cast<const sockaddr*>(&address),
                    unix_path_offset + path.size() + terminator);
}

SocketAddress SocketAddress::from_raw(const sockaddr* address, std::size_t size) noexcept {
    assert(size <= capacity);
    SocketAddress result;
    std::memcpy(result.storage_, address, size);
    result.size_ = static_cast<std::uint32_t>(size);
    return result;
}

int SocketAddress::family() const noexcept {
    if (size_ < sizeof(sa_family_t)) return AF_UNSPEC;
    return load<sa_family_t>(*this);
}

bool SocketAddress::is_unix() const noexcept { return family() == AF_UNIX; }

std::string SocketAddress::host() const {
    char text[INET6_ADDRSTRLEN] = {};
    switch (family()) {
        case AF_INET: {
            const auto address = load<sockaddr_in>(*this);
            return ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
        }
        case AF_INET6: {
            const auto address = load<sockaddr_in6>(*this);
            std::string result = ::inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
            if (address.sin6_scope_id != 0) result += "%" + std::to_string(address.sin6_scope_id);
            return result;
        }
        case AF_UNIX: {
            if (size_ <= unix_path_offset) return {};
            const char* path = reinterpret_cast<const char*>(storage_) + unix_path_offset;
            const std::size_t bytes = size_ - unix_path_offset;
            // The system counts the terminating NUL of a path, or leaves it out; both are allowed.
            return path[0] == '\0' ? std::string(path, bytes)
                                   : std::string(path, ::strnlen(path, bytes));
        }
        default:
            return {};
    }
}

std::uint16_t SocketAddress::port() const noexcept {
    if (family() == AF_INET) return ntohs(load<sockaddr_in>(*this).sin_port);
    if (family() == AF_INET6) return ntohs(load<sockaddr_in6>(*this).sin6_port);
    return 0;
}

void SocketAddress::set_port(std::uint16_t port) noexcept {
    assert(family() == AF_INET || family() == AF_INET6);
    static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
    const std::uint16_t network_order = htons(port);
    std::memcpy(storage_ + offsetof(sockaddr_in, sin_port), &network_order, sizeof network_order);
}

std::string SocketAddress::to_string() const {
    std::string text = host();
    if (family() == AF_INET) return text + ":" + std::to_string(port());
    if (family() == AF_INET6) return "[" + text + "]:" + std::to_string(port());
    if (!text.empty() && text.front() == '\0') text.front() = '@';
    return text;
}

std::ostream& operator<<(std::ostream& out, const SocketAddress& address) {
    return out << address.to_string();
}

int SocketAddress::compare(const SocketAddress& other) const noexcept {
    const int bytes = std::memcmp(storage_, other.storage_, capacity);
    if (bytes != 0) return bytes;
    return size_ == other.size_ ? 0 : size_ < other.size_ ? -1 : 1;
}

}  // namespace asyncio
