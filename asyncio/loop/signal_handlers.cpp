// SPDX-License-Identifier: MIT
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/signal_handlers.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::loop {

namespace {

constexpr int kSignals = 65;  // 1..64 on Linux
std::array<std::atomic<SignalHandlers*>, kSignals> owners{};
std::atomic<int> inside_handler{0};

extern "C" void asyncio_on_signal(int signal) {
    const int saved_errno = errno;
    inside_handler.fetch_add(1);
    if (SignalHandlers* owner = owners[static_cast<std::size_t>(signal)].load())
        owner->raised(signal);
    inside_handler.fetch_sub(1);
    errno = saved_errno;
}

constexpr std::uint64_t bit_of(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

void set_disposition(int signal, void (*handler)(int), bool once) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART | (once ? static_cast<int>(SA_RESETHAND) : 0);
    sigemptyset(&action.sa_mask);
    if (::sigaction(signal, &action, nullptr) != 0)
        throw std::system_error(errno, std::generic_category(),
                                "sigaction for signal " + std::to_string(signal));
}

}  // namespace

bool in_main_thread() noexcept { return ::syscall(SYS_gettid) == ::getpid(); }

std::uint64_t SignalHandlers::add(int signal, UniqueFunction<void()> f, bool once) {
    if (signal < 1 || signal >= kSignals)
        throw std::invalid_argument("no such signal: " + std::to_string(signal));
    if (signal == SIGKILL || signal == SIGSTOP)
        throw std::logic_error("signal " + std::to_string(signal) + " cannot be caught");
    if (!in_main_thread())
        throw std::logic_error("signal handlers are added in the main thread only");
    auto callback = std::make_shared<Callback>(Callback{std::move(f), ContextSlot::copy_current()});
    entries_.reserve(entries_.size() + 1);
    // First the disposition: if it cannot be had, nothing is registered. An earlier handler stays
    // in force until ours does, there is no moment in which the signal would end the process.
    std::atomic<SignalHandlers*>& owner = owners[static_cast<std::size_t>(signal)];
    set_disposition(signal, &asyncio_on_signal, once);
    if (SignalHandlers* previous = owner.exchange(this)) previous->forget(signal);
    entries_.push_back({signal, next_number_, std::move(callback)});
    return next_number_++;
}

bool SignalHandlers::remove(int signal, std::uint64_t number) noexcept {
    const auto it = std::ranges::find(entries_, signal, &Entry::signal);
    if (it == entries_.end() || (number != 0 && it->number != number)) return false;
    ::signal(signal, SIG_DFL);
    owners[static_cast<std::size_t>(signal)].store(nullptr);
    forget(signal);
    return true;
}

/// The process's handler does not lead here any more.
void SignalHandlers::forget(int signal) noexcept {
    while (inside_handler.load() != 0) {  // on another thread; it only sets a bit and wakes
    }
    pending_.fetch_and(~bit_of(signal));
    std::erase_if(entries_, [signal](const Entry& entry) { return entry.signal == signal; });
}

void SignalHandlers::clear() noexcept {
    while (!entries_.empty()) remove(entries_.back().signal, 0);
}

void SignalHandlers::raised(int signal) noexcept {
    pending_.fetch_or(bit_of(signal));
    loop_.kernel().wake();
}

void SignalHandlers::deliver() {
    const std::uint64_t arrived = pending_.exchange(0);
    for (const Entry& entry : entries_)
        if ((arrived & bit_of(entry.signal)) != 0)
            loop_.call_soon([callback = entry.callback] {
                const ContextScope scope(callback->context);
                callback->function();
            });
}

}  // namespace asyncio::loop
