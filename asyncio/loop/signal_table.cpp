// SPDX-License-Identifier: MIT
#include <asyncio/loop/signal_table.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string>
#include <system_error>

#include <pthread.h>

namespace asyncio::loop::signal_table {

namespace {

constexpr int kSignals = 65;  // 1..64 on Linux

struct Entry {
    std::atomic<SignalSink*> owner{nullptr};
    std::atomic<SignalTap*> taps{nullptr};
    struct sigaction below = {};  // what the taps cover
};

std::array<Entry, kSignals> entries;
std::atomic<int> inside_handler{0};

Entry& entry_of(int signal) noexcept { return entries[static_cast<std::size_t>(signal)]; }

extern "C" void asyncio_on_signal(int signal) {
    const int saved_errno = errno;
    inside_handler.fetch_add(1);
    Entry& entry = entry_of(signal);
    SignalTap* tap = entry.taps.load();
    if (tap == nullptr) {
        if (SignalSink* owner = entry.owner.load()) owner->raised(signal);
    }
    for (; tap != nullptr; tap = tap->next.load()) tap->sink->raised(signal);
    inside_handler.fetch_sub(1);
    errno = saved_errno;
}

struct sigaction action_for(void (*handler)(int), bool once) noexcept {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART | (once ? static_cast<int>(SA_RESETHAND) : 0);
    sigemptyset(&action.sa_mask);
    return action;
}

void apply(int signal, const struct sigaction& action, struct sigaction* before) {
    if (::sigaction(signal, &action, before) != 0)
        throw std::system_error(errno, std::generic_category(),
                                "sigaction for signal " + std::to_string(signal));
}

}  // namespace

Lock lock() {
    static auto* const mutex = new std::mutex;  // loops may outlive main()
    // A forked child has one thread, which is in no handler and does not hold the lock.
    static const int guarded = ::pthread_atfork([] { mutex->lock(); }, [] { mutex->unlock(); },
                                                [] {
                                                    inside_handler.store(0);
                                                    mutex->unlock();
                                                });
    static_cast<void>(guarded);
    return Lock(*mutex);
}

void check(int signal) {
    if (signal < 1 || signal >= kSignals)
        throw std::invalid_argument("no such signal: " + std::to_string(signal));
    if (signal == SIGKILL || signal == SIGSTOP)
        throw std::logic_error("signal " + std::to_string(signal) + " cannot be caught");
}

SignalSink* set_owner(const Lock&, int signal, SignalSink& owner, bool once) {
    Entry& entry = entry_of(signal);
    const struct sigaction action = action_for(&asyncio_on_signal, once);
    // First the disposition: if it cannot be had, nothing is registered. An earlier handler stays
    // in force until ours does, there is no moment in which the signal would end the process.
    if (entry.taps.load() == nullptr)
        apply(signal, action, nullptr);
    else
        entry.below = action;
    return entry.owner.exchange(&owner);
}

void clear_owner(const Lock&, int signal) noexcept {
    Entry& entry = entry_of(signal);
    if (entry.taps.load() == nullptr)
        ::signal(signal, SIG_DFL);
    else
        entry.below = action_for(SIG_DFL, false);
    entry.owner.store(nullptr);
    await_handlers();
}

void add(const Lock&, SignalTap& tap) {
    Entry& entry = entry_of(tap.signal);
    SignalTap* first = entry.taps.load();
    struct sigaction below = {};
    if (first == nullptr) apply(tap.signal, action_for(&asyncio_on_signal, false), &below);
    if (first == nullptr) entry.below = below;
    tap.next.store(first);
    entry.taps.store(&tap);
}

void remove(const Lock&, SignalTap& tap) noexcept {
    Entry& entry = entry_of(tap.signal);
    std::atomic<SignalTap*>* link = &entry.taps;
    while (link->load() != &tap) link = &link->load()->next;
    // The last one: first the disposition. A signal that comes in between is still heard.
    if (link == &entry.taps && tap.next.load() == nullptr)
        ::sigaction(tap.signal, &entry.below, nullptr);
    link->store(tap.next.load());
    await_handlers();
}

void await_handlers() noexcept {
    while (inside_handler.load() != 0) {  // on another thread; it only sets a bit and wakes
    }
}

}  // namespace asyncio::loop::signal_table
