// SPDX-License-Identifier: MIT
#include <asyncio/sync/barrier.hpp>

namespace asyncio {

using sync::BarrierAwaiter;

Barrier::Barrier(int parties) : parties_(parties), arrived_(bound_), held_back_(bound_) {
    if (parties < 1) throw std::invalid_argument("parties must be >= 1");
}

template <class Visit>
void Barrier::each(sync::WaitQueue& queue, Visit&& visit) {
    for (sync::Waiter* waiter = queue.front(); waiter != nullptr; waiter = queue.after(*waiter))
        visit(static_cast<BarrierAwaiter&>(*waiter));
}

/// Who was released or failed already knows all it needs.
Barrier::~Barrier() {
    each(arrived_, [this](BarrierAwaiter& awaiter) {
        awaiter.barrier_ = nullptr;
        awaiter.failed_ = state_ != State::draining;
    });
    each(held_back_, [](BarrierAwaiter& awaiter) { awaiter.barrier_ = nullptr; });
    if (state_ != State::filling) arrived_.forget_woken();
}

/// The round is complete.
void Barrier::release() noexcept {
    state_ = State::draining;
    int index = 0;
    each(arrived_, [&](BarrierAwaiter& awaiter) { awaiter.index_ = index++; });
    arrived_.wake_all();
}

void Barrier::step_out() noexcept {
    if (--inside_ > 0) return;
    if (state_ == State::draining || state_ == State::resetting) {
        state_ = State::filling;
        admit();
    }
}

/// Those held back enter the new round, as far as there is room.
void Barrier::admit() noexcept {
    while (state_ == State::filling && !held_back_.empty()) {
        auto& awaiter = static_cast<BarrierAwaiter&>(*held_back_.front());
        held_back_.remove(awaiter);
        arrived_.push_back(awaiter);
        awaiter.inside_ = true;
        ++inside_;
        if (complete()) release();
    }
}

void Barrier::reset() noexcept {
    state_ = inside_ > 0 ? State::resetting : State::filling;
    arrived_.wake_all();
}

void Barrier::abort() noexcept {
    state_ = State::broken;
    arrived_.wake_all();
    each(held_back_, [](BarrierAwaiter& awaiter) { awaiter.failed_ = true; });
    held_back_.release_all();
}

Coro<int> Barrier::aenter() {
    const int index = co_await wait();
    co_return index;
}

Coro<bool> Barrier::aexit(std::exception_ptr) { co_return false; }

std::string Barrier::description() const {
    static constexpr const char* kStates[] = {"filling", "draining", "resetting", "broken"};
    return std::string("<Barrier ") + kStates[static_cast<int>(state_)] +
           ", waiters: " + std::to_string(n_waiting()) + "/" + std::to_string(parties_) + ">";
}

namespace sync {

void BarrierAwaiter::abandon() noexcept {
    (inside_ ? barrier_->arrived_ : barrier_->held_back_).remove(*this);
    step_out();
}

/// True: no reason to wait; await_resume gives the index or fails.
bool BarrierAwaiter::await_ready() noexcept {
    if (barrier_->broken()) {
        failed_ = true;
        return true;
    }
    if (barrier_->state_ != Barrier::State::filling) return false;
    inside_ = true;
    ++barrier_->inside_;
    if (!barrier_->complete()) return false;
    barrier_->release();
    index_ = barrier_->parties_ - 1;
    return true;
}

bool BarrierAwaiter::suspend_in_barrier(coro::Driver& driver) noexcept {
    if (suspend(driver, driver, inside_ ? barrier_->arrived_ : barrier_->held_back_)) return true;
    step_out();
    return false;
}

int BarrierAwaiter::await_resume() {
    if (suspended()) {
        leave();
        if (barrier_ != nullptr && inside_ &&
            (barrier_->broken() || barrier_->state_ == Barrier::State::resetting))
            failed_ = true;
    }
    step_out();
    if (suspended()) driver_->throw_if_cancelled();
    if (failed_) throw BrokenBarrierError("the barrier was reset or aborted");
    return index_;
}

bool BarrierAwaiter::cancel(const std::string& message) noexcept {
    if (!Waiter::cancel(message)) return false;
    step_out();
    return true;
}

/// No longer one of the round.
void BarrierAwaiter::step_out() noexcept {
    if (!inside_) return;
    inside_ = false;
    if (barrier_ != nullptr) barrier_->step_out();
}

}  // namespace sync
}  // namespace asyncio
