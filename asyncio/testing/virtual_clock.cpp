// SPDX-License-Identifier: MIT
#include <asyncio/testing/virtual_clock.hpp>

#include <cassert>
#include <memory>
#include <stdexcept>

namespace asyncio::testing {

namespace {

/// Completions come from within wait() only (K1), so the clock that waits is the one they mean.
thread_local constinit VirtualClock* waiting_clock = nullptr;

}  // namespace

VirtualClock::~VirtualClock() {
    for (const auto& [operation, callback] : std::exchange(callbacks_, {})) {
        real_->reclaim(*operation);
        operation->callback = callback;
    }
}

void VirtualClock::advance(Duration duration) noexcept {
    assert(duration >= Duration::zero());
    now_.fetch_add(duration.count());
}

void VirtualClock::wake() noexcept {
    woken_.store(true);
    real_->wake();
}

// --- operations --------------------------------------------------------------------------------

bool VirtualClock::submit(kernel::Operation& operation) noexcept {
    const auto callback = std::exchange(operation.callback, &on_completion);
    if (real_->submit(operation)) {
        callbacks_[&operation] = callback;
        return true;
    }
    operation.callback = callback;
    return false;
}

void VirtualClock::reclaim(kernel::Operation& operation) noexcept {
    real_->reclaim(operation);
    forget(operation);
}

std::vector<int> VirtualClock::reclaim_accept(kernel::Operation& operation) noexcept {
    std::vector<int> accepted = real_->reclaim_accept(operation);
    forget(operation);
    return accepted;
}

/// Give the operation its own callback back.
void VirtualClock::forget(kernel::Operation& operation) noexcept {
    const auto it = callbacks_.find(&operation);
    if (it == callbacks_.end()) return;
    operation.callback = it->second;
    callbacks_.erase(it);
}

void VirtualClock::on_completion(kernel::Operation& operation,
                                 const kernel::Completion& completion) {
    VirtualClock& clock = *waiting_clock;
    ++clock.completions_;
    const auto callback = clock.callbacks_.at(&operation);
    if (!completion.more) clock.forget(operation);
    callback(operation, completion);
}

// --- waiting -----------------------------------------------------------------------------------

/// Wait on the real kernel. True if something came of it, or somebody woke us.
bool VirtualClock::look(Duration real_timeout) {
    struct Waiting {
        explicit Waiting(VirtualClock* clock) noexcept
            : previous(std::exchange(waiting_clock, clock)) {}
        ~Waiting() { waiting_clock = previous; }
        VirtualClock* previous;
    } waiting(this);
    const std::size_t before = completions_;
    real_->wait(real_timeout);
    return woken_.exchange(false) || completions_ != before;
}

void VirtualClock::wait(std::optional<Duration> timeout) {
    if (look(Duration::zero()) || timeout == Duration::zero()) return;
    if (timeout && in_flight() == 0) {
        advance(*timeout);
        return;
    }
    const Duration patience = timeout ? kGrace : deadlock_bound_;
    const TimePoint began = Clock::now();
    if (look(patience)) return;
    if (Clock::now() - began < patience) return;  // a signal; the loop looks and comes back
    if (!timeout) throw std::logic_error("the test would wait for ever");
    advance(*timeout);
}

// --- loops -------------------------------------------------------------------------------------

std::unique_ptr<EventLoop> make_virtual_loop(Backend backend) {
    return std::make_unique<EventLoop>(
        std::make_unique<VirtualClock>(kernel::make_kernel(backend)));
}

VirtualClock& clock_of(EventLoop& loop) { return dynamic_cast<VirtualClock&>(loop.kernel()); }

}  // namespace asyncio::testing
