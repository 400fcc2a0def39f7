// SPDX-License-Identifier: MIT
//
// SocketAddress: what is parsed prints as something that parses to the same, numbers are taken in
// their one canonical spelling (catalogue E2), no byte behind a NUL counts, and what the system
// may hand us is read within its size.
//
// covers: os/socket_address.hpp os/socket_address.cpp
#include <asyncio/os/socket_address.hpp>

#include <cctype>
#include <cstring>
#include <stdexcept>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "fuzz.hpp"

namespace {

using asyncio::SocketAddress;

/// Digits and dots, no leading zeros, four numbers below 256.
bool is_dotted(std::string_view text) {
    int numbers = 0;
    while (numbers < 4) {
        std::size_t digits = 0;
        int value = 0;
        while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9' && digits < 4)
            value = value * 10 + (text[digits++] - '0');
        if (digits == 0 || digits > 3 || value > 255 || (digits > 1 && text[0] == '0'))
            return false;
        text.remove_prefix(digits);
        if (++numbers == 4) break;
        if (text.empty() || text[0] != '.') return false;
        text.remove_prefix(1);
    }
    return text.empty();
}

void check_host(std::string_view text, std::uint16_t port) {
    const auto parsed = SocketAddress::parse(text, port);
    const bool colon = text.find(':') != text.npos;
    if (!colon) FUZZ_CHECK(parsed.has_value() == is_dotted(text));
    if (!parsed) return;
    FUZZ_CHECK(text.find('\0') == text.npos);
    FUZZ_CHECK(parsed->port() == port);
    FUZZ_CHECK(parsed->family() == (colon ? AF_INET6 : AF_INET));
    if (!colon) FUZZ_CHECK(parsed->host() == text);
    FUZZ_CHECK(SocketAddress::parse(parsed->host(), port) == parsed);
    FUZZ_CHECK(SocketAddress::parse(parsed->to_string()) == parsed);
}

void check_text(std::string_view text) {
    const auto parsed = SocketAddress::parse(text);
    if (!parsed) return;
    FUZZ_CHECK(text.find('\0') == text.npos);
    FUZZ_CHECK(SocketAddress::parse(parsed->to_string()) == parsed);
    FUZZ_CHECK(parsed->is_unix() == (text.find('/') != text.npos));
    if (parsed->is_unix()) FUZZ_CHECK(parsed->to_string() == text);
    if (parsed->family() == AF_INET) FUZZ_CHECK(parsed->to_string() == text);
    SocketAddress moved = *parsed;
    if (moved.is_unix()) return;
    moved.set_port(static_cast<std::uint16_t>(parsed->port() + 1));
    FUZZ_CHECK(moved != *parsed && moved.host() == parsed->host());
}

void check_path(std::string_view path) {
    try {
        const SocketAddress address = SocketAddress::unix_path(path);
        FUZZ_CHECK(address.is_unix() && address.port() == 0);
        FUZZ_CHECK(address.host() == path);
    } catch (const std::invalid_argument&) {
        const bool abstract = path.starts_with('\0');
        FUZZ_CHECK(path.empty() || path.size() > 107 ||
                   (!abstract && path.find('\0') != path.npos));
    }
}

/// What a system call may have written.
void check_raw(std::string_view bytes) {
    alignas(8) char memory[SocketAddress::capacity] = {};
    const std::size_t size = std::min(bytes.size(), sizeof memory);
    std::memcpy(memory, bytes.data(), size);
    if (size > 0) memory[0] = static_cast<char>(memory[0] % 12);  // families that exist
    if (size > 1) memory[1] = 0;
    const auto address = SocketAddress::from_raw(reinterpret_cast<sockaddr*>(memory), size);
    FUZZ_CHECK(address == address && address.size() == size);
    FUZZ_CHECK(address.to_string().size() < 200);
    FUZZ_CHECK(address.host().size() <= address.to_string().size());
    (void)address.port();
}

}  // namespace

FUZZ_TARGET(address) {
    const std::size_t kind = input.below(4);
    if (kind == 0) {
        const auto port = static_cast<std::uint16_t>(input.number(2));
        check_host(input.rest(), port);
    } else if (kind == 1) {
        check_text(input.rest());
    } else if (kind == 2) {
        check_path(input.rest());
    } else {
        check_raw(input.rest());
    }
}
