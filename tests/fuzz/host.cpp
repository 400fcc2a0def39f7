// SPDX-License-Identifier: MIT
//
// Names of hosts and ports as users type them: an address is taken as it is, nothing that reads as
// one in another way reaches the resolver (catalogue E2), no name with a NUL or too long does; what
// does is the text itself. Ports are decimal numbers up to 65535.
//
// covers: os/port.hpp os/port.cpp
#include <asyncio/net/resolve.hpp>
#include <asyncio/os/port.hpp>
#include <asyncio/task/as_outcome.hpp>

#include <optional>
#include <stdexcept>
#include <vector>

#include <arpa/inet.h>
#include <netdb.h>

#include "fuzz.hpp"
#include "stand_in_system.hpp"

namespace asyncio::fuzz {
namespace {

using Addresses = std::vector<SocketAddress>;

/// Or it is refused in just this way.
template <class Refusal, class F>
bool is_port(F&& make) {
    try {
        return make().number() <= 65535;
    } catch (const Refusal&) {
        return false;
    }
}

/// The system's own resolver takes it for an IPv4 address.
bool is_number(const std::string& host) {
    addrinfo hints = {};
    hints.ai_family = AF_INET;
    hints.ai_flags = AI_NUMERICHOST;
    addrinfo* found = nullptr;
    const bool is_one = ::getaddrinfo(host.c_str(), nullptr, &hints, &found) == 0;
    if (is_one) ::freeaddrinfo(found);
    return is_one;
}

struct Names final : StandInSystem {
    Addresses look_up(const std::string& host, std::uint16_t) override {
        FUZZ_CHECK(!asked);
        FUZZ_CHECK(host.find('\0') == std::string::npos);
        FUZZ_CHECK(!host.empty() && host.size() <= net::kMaxHostName && !is_number(host));
        asked = host;
        return answer;
    }
    Addresses answer;
    std::optional<std::string> asked;
};

Coro<> check_host(Names& names, std::string host, std::uint16_t port) {
    const auto found = co_await as_outcome(net::resolve(host, port));
    const auto literal = SocketAddress::parse(host, port);
    const bool is_name = host.find('\0') == std::string::npos && host.size() <= net::kMaxHostName;
    if (host.empty()) {
        FUZZ_CHECK(found && found->size() == 2 && !names.asked);
    } else if (!is_name) {
        FUZZ_CHECK(!found && !names.asked);
    } else if (literal) {
        FUZZ_CHECK(found && *found == Addresses(1, *literal) && !names.asked);
    } else if (host.find(':') == std::string::npos && is_number(host)) {
        FUZZ_CHECK(!found && !names.asked);
    } else if (names.asked) {
        FUZZ_CHECK(names.asked == host && static_cast<bool>(found) == !names.answer.empty());
        if (found) FUZZ_CHECK(*found == names.answer);
    } else {
        in_addr address;  // refused, as an address in another spelling
        FUZZ_CHECK(!found && ::inet_aton(host.c_str(), &address) != 0);
    }
}

void check_port(std::string_view text) {
    std::size_t value = 0;
    bool is_one = !text.empty();
    for (const char c : text) {
        is_one = is_one && c >= '0' && c <= '9';
        value = std::min<std::size_t>(value * 10 + static_cast<unsigned char>(c - '0'), 70'000);
    }
    const bool fits = value <= 65535;
    FUZZ_CHECK(is_port<std::invalid_argument>([&] { return Port(text); }) == (is_one && fits));
    FUZZ_CHECK(is_port<std::out_of_range>([&] { return Port(value); }) == fits);
    if (is_one && fits) FUZZ_CHECK(Port(text).number() == value && Port(value).number() == value);
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(host) {
    using namespace asyncio;
    using namespace asyncio::fuzz;
    const std::size_t kind = input.below(4);
    if (kind == 0) return check_port(input.rest());
    Names names;
    const StandInSystem::Turn turn(names);
    const auto port = static_cast<std::uint16_t>(input.byte());
    if (kind > 1) names.answer.push_back(*SocketAddress::parse("10.0.0.1", port));
    std::string host(input.rest());
    if (kind == 3) host.resize(host.size() * 3, 'h');
    asyncio::fuzz::run(check_host(names, std::move(host), port));
}
