// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/net/resolve.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/task/future.hpp>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>

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

/// The process's lookup threads. Never destroyed: a lookup may outlive main().
class Resolver {
  public:
    static Resolver& instance() {
        static auto* const resolver = new Resolver;
        return *resolver;
    }

    void submit(UniqueFunction<void()> job) {
        std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
        if (jobs_.size() <= idle_ || threads_ == kMaxLookupThreads) {
            available_.notify_one();
            return;
        }
        std::thread([this] { work(); }).detach();
        ++threads_;
    }

  private:
    void work() {
        std::unique_lock lock(mutex_);
        for (;;) {
            ++idle_;
            available_.wait(lock, [this] { return !jobs_.empty(); });
            --idle_;
            UniqueFunction<void()> job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            job();
            job = nullptr;
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable available_;
    std::deque<UniqueFunction<void()>> jobs_;
    int threads_ = 0;
    std::size_t idle_ = 0;
};

using Addresses = Outcome<std::vector<SocketAddress>>;

/// Where a lookup's answer goes. The loop's side lets go (under the lock) when it is not awaited
/// any more, so the thread never touches a loop that may be gone.
struct Mailbox {
    std::mutex mutex;
    EventLoop* loop = nullptr;
    Future<Addresses>* answer = nullptr;
};

void deliver(const std::shared_ptr<Mailbox>& mailbox, Addresses addresses) {
    std::lock_guard lock(mailbox->mutex);
    if (mailbox->loop == nullptr) return;
    try {
        mailbox->loop->call_soon_threadsafe([mailbox, addresses = std::move(addresses)]() mutable {
            if (mailbox->answer != nullptr && !mailbox->answer->done())
                mailbox->answer->set_result(std::move(addresses));
        });
    } catch (const std::logic_error&) {
        // The loop is closing, and will let go as soon as it has the lock.
    }
}

Addresses try_look_up(const std::string& host, std::uint16_t port) {
    try {
        return look_up(host, port);
    } catch (...) {
        return Addresses(std::current_exception());
    }
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
    Future<Addresses> answer = loop.create_future<Addresses>();
    auto mailbox = std::make_shared<Mailbox>();
    mailbox->loop = &loop;
    mailbox->answer = &answer;
    struct LetGo {
        ~LetGo() {
            std::lock_guard lock(mailbox.mutex);
            mailbox.loop = nullptr;
            mailbox.answer = nullptr;
        }
        Mailbox& mailbox;
    } let_go{*mailbox};
    Resolver::instance().submit(
        [mailbox, host, port] { deliver(mailbox, try_look_up(host, port)); });
    const TimePoint start = loop.time();
    Addresses& addresses = co_await answer;
    report_slow(loop, host, loop.time() - start);
    co_return addresses.take();
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
    if (os::simulated_system != nullptr)
        addresses = os::simulated_system->look_up(host, port);
    else
        addresses = co_await look_up_elsewhere(host, port);
    if (addresses.empty()) os::throw_system_error(EADDRNOTAVAIL, "resolve " + host);
    co_return addresses;
}

}  // namespace asyncio::net
