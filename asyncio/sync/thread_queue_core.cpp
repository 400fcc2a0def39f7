// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/inbox.hpp>
#include <asyncio/sync/queue_core.hpp>
#include <asyncio/sync/thread_queue_core.hpp>
#include <asyncio/task/task_core.hpp>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stdexcept>

namespace asyncio::sync {

struct ThreadQueueCore::Leaving {
    std::condition_variable all_left;
};

/// A thread inside transfer_blocking(), on its stack.
class ThreadQueueCore::BlockedThread final : public ThreadQueueWaiter {
  public:
    BlockedThread(ThreadQueueCore& core, Side side, void* slot) noexcept
        : ThreadQueueWaiter(core, side, slot) {}

    /// False: the limit has passed. Throws what the transfer does.
    bool wait(std::unique_lock<std::mutex>& lock, Option<Duration> limit);

  private:
    void wake() noexcept override { changed_.notify_one(); }
    bool sleep(std::unique_lock<std::mutex>& lock, const Option<Duration>& limit,
               std::chrono::steady_clock::time_point deadline);

    std::condition_variable changed_;
};

// --- the line -----------------------------------------------------------------------------------

ThreadQueueCore::ThreadQueueCore(std::ptrdiff_t maxsize) noexcept
    : limit_(maxsize > 0 ? static_cast<std::size_t>(maxsize) : SIZE_MAX), maxsize_(maxsize) {}

ThreadQueueCore::~ThreadQueueCore() {
    std::unique_lock lock(mutex_);
    std::size_t count = 0;
    for (List* list : {&getters_, &putters_, &woken_}) orphan(*list, count);
    if (count > 0 && !shut_down_)
        log(LogLevel::error, "ThreadQueue was destroyed while " + std::to_string(count) +
                                 " tasks or threads were waiting for it");
    Leaving leaving;
    leaving_ = &leaving;
    leaving.all_left.wait(lock, [this] { return blocked_threads_ == 0; });
}

void ThreadQueueCore::orphan(List& list, std::size_t& count) noexcept {
    while (!list.empty()) {
        Waiter& waiter = list.pop_front();
        const bool on_its_way = waiter.state_ == Waiter::State::woken;
        waiter.state_ = Waiter::State::settled;
        waiter.shut_down_ = shut_down_;
        waiter.core_ = nullptr;
        if (!on_its_way) waiter.wake();
        ++count;
    }
}

std::size_t ThreadQueueCore::qsize() const {
    const std::lock_guard lock(mutex_);
    return size_;
}

std::string ThreadQueueCore::description() const {
    const std::lock_guard lock(mutex_);
    std::size_t waiters = 0;
    for (List* list : {&getters_, &putters_, &woken_}) list->for_each([&](Waiter&) { ++waiters; });
    std::string text = "<ThreadQueue maxsize=" + std::to_string(maxsize_);
    text += " items=" + std::to_string(size_);
    if (waiters > 0) text += " waiters=" + std::to_string(waiters);
    return text + (shut_down_ ? " shutdown>" : ">");
}

bool ThreadQueueCore::possible(Side side) const noexcept {
    return shut_down_ || (side == Side::get ? size_ > 0 : size_ < limit_);
}

/// Transfer, or find that it cannot be any more; false if it has to wait.
bool ThreadQueueCore::try_transfer(Waiter& waiter) {
    if (!possible(waiter.side_)) return false;
    const bool get = waiter.side_ == Side::get;
    waiter.shut_down_ = get ? size_ == 0 : shut_down_;
    if (waiter.shut_down_) return true;
    transfer(waiter.side_, waiter.slot_);
    get ? --size_ : ++size_;
    wake_next(get ? Side::put : Side::get);
    return true;
}

/// The same; what the item's move throws is kept for the waiter.
bool ThreadQueueCore::settle(Waiter& waiter) noexcept {
    try {
        return try_transfer(waiter);
    } catch (...) {
        waiter.error_ = std::current_exception();
        return true;
    }
}

void ThreadQueueCore::join(Waiter& waiter) noexcept {
    waiter.state_ = Waiter::State::waiting;
    waiter.ticket_ = ++tickets_;
    waiting(waiter.side_).push_back(waiter);
}

/// Behind those that came earlier and found nothing either.
void ThreadQueueCore::wait_again(Waiter& waiter) noexcept {
    waiter.unlink();
    waiter.state_ = Waiter::State::waiting;
    List& list = waiting(waiter.side_);
    List earlier;
    while (!list.empty() && list.front().ticket_ < waiter.ticket_)
        earlier.push_back(list.pop_front());
    earlier.push_back(waiter);
    earlier.splice_back(list);
    list.splice_back(earlier);
}

/// Without having transferred; what woke it wakes the next.
void ThreadQueueCore::leave(Waiter& waiter) noexcept {
    const bool pass_on = waiter.state_ == Waiter::State::woken && possible(waiter.side_);
    waiter.unlink();
    waiter.state_ = Waiter::State::settled;
    if (pass_on) wake_next(waiter.side_);
}

void ThreadQueueCore::wake_next(Side side) noexcept {
    List& list = waiting(side);
    if (list.empty()) return;
    Waiter& waiter = list.pop_front();
    waiter.state_ = Waiter::State::woken;
    woken_.push_back(waiter);
    waiter.wake();
}

void ThreadQueueCore::wake_all(Side side) noexcept {
    while (!waiting(side).empty()) wake_next(side);
}

void ThreadQueueCore::shut_down(bool discarded_all) noexcept {
    shut_down_ = true;
    if (discarded_all) size_ = 0;
    wake_all(Side::get);
    wake_all(Side::put);
}

void ThreadQueueWaiter::check() const {
    if (error_) std::rethrow_exception(error_);
    if (shut_down_) throw QueueShutDown();
    if (core_ == nullptr)
        throw std::logic_error("ThreadQueue was destroyed while somebody was waiting for it");
}

// --- threads ------------------------------------------------------------------------------------

void ThreadQueueCore::transfer_now(Side side, void* slot) {
    const std::lock_guard lock(mutex_);
    BlockedThread self(*this, side, slot);
    if (try_transfer(self)) return self.check();
    if (side == Side::get) throw QueueEmpty();
    throw QueueFull();
}

bool ThreadQueueCore::transfer_blocking(Side side, void* slot, Option<Duration> limit) {
    std::unique_lock lock(mutex_);
    BlockedThread self(*this, side, slot);
    if (try_transfer(self)) {
        self.check();
        return true;
    }
    if (get_running_loop_or_null() != nullptr)
        throw std::logic_error("this would block the running event loop; co_await instead");
    return self.wait(lock, limit);
}

bool ThreadQueueCore::BlockedThread::wait(std::unique_lock<std::mutex>& lock,
                                          Option<Duration> limit) {
    ThreadQueueCore& core = *core_;
    const auto deadline = std::chrono::steady_clock::now() + limit.value_or(Duration::zero());
    core.join(*this);
    ++core.blocked_threads_;
    while (state_ != State::settled) {
        const bool in_time = sleep(lock, limit, deadline);
        if (state_ == State::settled) break;  // the queue is gone
        if (state_ == State::woken && core.settle(*this)) {
            unlink();
            state_ = State::settled;
        } else if (state_ == State::woken) {
            core.wait_again(*this);
        } else if (!in_time) {
            core.leave(*this);
            --core.blocked_threads_;
            return false;
        }
    }
    if (--core.blocked_threads_ == 0 && core.leaving_ != nullptr)
        core.leaving_->all_left.notify_one();
    check();
    return true;
}

/// False when the deadline has passed.
bool ThreadQueueCore::BlockedThread::sleep(std::unique_lock<std::mutex>& lock,
                                           const Option<Duration>& limit,
                                           std::chrono::steady_clock::time_point deadline) {
    const auto woken = [this] { return state_ != State::waiting; };
    if (limit) return changed_.wait_until(lock, deadline, woken);
    changed_.wait(lock, woken);
    return true;
}

// --- tasks --------------------------------------------------------------------------------------

bool ThreadQueueAwaiter::suspend(coro::Driver& driver) noexcept {
    const std::lock_guard lock(core_->mutex_);
    if (core_->settle(*this)) return false;
    driver_ = &driver;
    loop_ = task::TaskCore::from(&driver)->core().loop;
    driver.suspend_in(*this);
    core_->join(*this);
    return true;
}

/// The loop's own thread needs no post.
void ThreadQueueAwaiter::wake() noexcept {
    if (get_running_loop_or_null() == loop_) {
        driver_->ready_queue().push(*this);
        return;
    }
    // Waits for memory. False when the loop is closing: it destroys this waiter soon, which passes
    // the wake-up on.
    (void)loop_->inbox()->try_post([this] { driver_->ready_queue().push(*this); });
}

void ThreadQueueAwaiter::take_turn(Runnable& runnable, Turn turn) {
    if (turn == Turn::run) static_cast<ThreadQueueAwaiter&>(runnable).turn();
}

void ThreadQueueAwaiter::turn() {
    if (core_ != nullptr) {
        const std::lock_guard lock(core_->mutex_);
        if (driver_->cancel_due()) {
            core_->leave(*this);
        } else if (core_->settle(*this)) {
            unlink();
            state_ = State::settled;
        } else {
            core_->wait_again(*this);
            return;
        }
    }
    driver_->run();  // may be the end of this object
}

bool ThreadQueueAwaiter::cancel(const std::string& message) noexcept {
    if (core_ == nullptr) return false;
    {
        const std::lock_guard lock(core_->mutex_);
        if (state_ != State::waiting) return false;
        core_->leave(*this);
    }
    driver_->deliver_cancel(message);
    driver_->wake();
    return true;
}

void ThreadQueueAwaiter::finish() {
    if (driver_ != nullptr) driver_->throw_if_cancelled();
    check();
}

void ThreadQueueAwaiter::dropped() noexcept {
    if (core_ == nullptr) return;
    const std::lock_guard lock(core_->mutex_);
    if (state_ != State::settled) core_->leave(*this);
}

}  // namespace asyncio::sync
