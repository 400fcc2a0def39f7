// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/net/resolve.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/thread/run_in_executor.hpp>
#include <asyncio/thread/shared_threads.hpp>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <arpa/inet.h>
#include <netdb.h>

namespace asyncio::net {

namespace {

/// getaddrinfo's errors are numbers of their own.
class ResolverCategory final : public std::error_category {
  public:
    const char* name() const noexcept override { return "getaddrinfo"; }
    std::string message(int code) const override { return ::gai_strerror(code); }
};

std::vector<SocketAddress> look_up(const std::string& host, std::uint16_t port) {
    static const ResolverCategory category;
    addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (code == EAI_SYSTEM) os::throw_system_error(errno, "resolve " + host);
    if (code != 0) throw std::system_error(code, category, "resolve " + host);
    std::vector<SocketAddress> addresses;
    for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
        if (info->ai_family != AF_INET && info->ai_family != AF_INET6) continue;
        auto address = SocketAddress::from_raw(info->ai_addr, info->ai_addrlen);
        address.set_port(port);
        if (std::ranges::find(addresses, address) == addresses.end()) addresses.push_back(address);
    }
    ::freeaddrinfo(found);
    return addresses;
}

ThreadPoolExecutor& lookup_threads() {
    static auto* const shared = new thread::SharedThreads(kMaxLookupThreads, "asyncio-names");
    return shared->pool();
}

/// In debug mode: the lookup blocked no loop, but whoever waits for it.
void report_slow(const EventLoop& loop, const std::string& host, Duration took) {
    if (!loop.get_debug() || took < loop.slow_callback_duration) return;
    const double seconds = std::chrono::duration<double>(took).count();
    log(LogLevel::warning,
        "Looking up '" + host + "' took " + std::to_string(seconds) + " seconds");
}

Coro<std::vector<SocketAddress>> look_up_elsewhere(std::string host, std::uint16_t port) {
    EventLoop& loop = get_running_loop();
    const TimePoint start = loop.time();
    auto answer = loop.run_in_executor(lookup_threads(), look_up, host, port);
    auto addresses = co_await as_outcome(std::move(answer));
    if (!addresses.cancelled()) report_slow(loop, host, loop.time() - start);
    co_return addresses.take();
}

/// What getaddrinfo takes for IPv4 besides four decimal numbers: 127.1, 0x7f000001, 017700000001.
/// Whoever filters addresses by their text does not see through these.
bool is_address_in_disguise(const std::string& host) noexcept {
    in_addr address;
    return ::inet_aton(host.c_str(), &address) != 0;
}

}  // namespace

Coro<std::vector<SocketAddress>> resolve(std::string host, std::uint16_t port) {
    std::vector<SocketAddress> addresses;
    if (host.empty()) {
        addresses.push_back(*SocketAddress::parse("0.0.0.0", port));
        addresses.push_back(*SocketAddress::parse("::", port));
        co_return addresses;
    }
    if (host.size() > kMaxHostName || host.find('\0') != std::string::npos)
        os::throw_system_error(EINVAL, "resolve: not a host name");
    if (const auto literal = SocketAddress::parse(host, port)) {
        addresses.push_back(*literal);
        co_return addresses;
    }
    if (is_address_in_disguise(host))
        os::throw_system_error(EINVAL, "resolve " + host + ": no way to write an address");
    if (os::simulated_system != nullptr)
        addresses = os::simulated_system->look_up(host, port);
    else
        addresses = co_await look_up_elsewhere(host, port);
    if (addresses.empty()) os::throw_system_error(EADDRNOTAVAIL, "resolve " + host);
    co_return addresses;
}

}  // namespace asyncio::net
