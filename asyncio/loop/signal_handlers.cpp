// SPDX-License-Identifier: MIT
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/signal_handlers.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::loop {

bool in_main_thread() noexcept { return ::syscall(SYS_gettid) == ::getpid(); }

std::uint64_t SignalHandlers::add(int signal, UniqueFunction<void()> f, bool once) {
    signal_table::check(signal);
    if (!in_main_thread())
        throw std::logic_error("signal handlers are added in the main thread only");
    auto callback = std::make_shared<Callback>(Callback{std::move(f), ContextSlot::copy_current()});
    std::shared_ptr<Callback> replaced;  // destroyed without the lock
    const signal_table::Lock held = signal_table::lock();
    entries_.reserve(entries_.size() + 1);
    if (SignalSink* previous = signal_table::set_owner(held, signal, *this, once)) {
        signal_table::await_handlers();
        replaced = static_cast<SignalHandlers*>(previous)->forget(signal);
    }
    entries_.push_back({signal, next_number_, std::move(callback)});
    return next_number_++;
}

bool SignalHandlers::remove(int signal, std::uint64_t number) noexcept {
    std::shared_ptr<Callback> removed;  // destroyed without the lock
    const signal_table::Lock held = signal_table::lock();
    const auto it = std::ranges::find(entries_, signal, &Entry::signal);
    if (it == entries_.end() || (number != 0 && it->number != number)) return false;
    signal_table::clear_owner(held, signal);
    removed = forget(signal);
    return true;
}

/// The process's handler does not lead here any more.
std::shared_ptr<SignalHandlers::Callback> SignalHandlers::forget(int signal) noexcept {
    arrived_.fetch_and(~bit_of(signal));
    const auto it = std::ranges::find(entries_, signal, &Entry::signal);
    std::shared_ptr<Callback> callback = std::move(it->callback);
    entries_.erase(it);
    return callback;
}

void SignalHandlers::clear() noexcept {
    for (;;) {
        int signal = 0;
        {
            const signal_table::Lock held = signal_table::lock();
            if (entries_.empty()) return;
            signal = entries_.back().signal;
        }
        remove(signal, 0);
    }
}

void SignalHandlers::raised(int signal) noexcept {
    arrived_.fetch_or(bit_of(signal));
    note();
}

void SignalHandlers::note() noexcept {
    pending_.store(true);
    loop_.kernel().wake();
}

void SignalHandlers::deliver() {
    pending_.store(false);
    std::vector<std::shared_ptr<Callback>> due;
    {
        const signal_table::Lock held = signal_table::lock();
        const std::uint64_t arrived = arrived_.exchange(0);
        for (const Entry& entry : entries_)
            if ((arrived & bit_of(entry.signal)) != 0) due.push_back(entry.callback);
    }
    for (std::shared_ptr<Callback>& callback : due)
        loop_.call_soon([callback = std::move(callback)] {
            const ContextScope scope(callback->context);
            callback->function();
        });
    listeners_.for_each([](SignalListener& listener) { listener.deliver(); });
}

}  // namespace asyncio::loop
