// SPDX-License-Identifier: MIT
//
// VirtualClock: a kernel whose time jumps. A test that sleeps an hour takes microseconds, and two
// runs see the same times.
//
//     TEST(Sleep, SLP_01_...) {
//         asyncio::testing::run(body());            // a Runner on a loop with virtual time
//         auto loop = asyncio::testing::make_virtual_loop();
//     }
//
// It stands around a real kernel and lets it do the work. A wait() that would block
//   looks first        what is there already is delivered, and no time passes;
//   then jumps         by the whole timeout, at once when no operation is in flight, otherwise only
//                      after the real system was given a short grace to complete one;
//   or gives up        a wait without end, in which nothing comes for a long (real) time, is a
//                      deadlock of the test: std::logic_error out of run_forever().
// Time passes nowhere else: code that computes takes no time, but see advance().
//
// Threads: as the kernel it wraps; now() and wake() from any. A test in which another thread works
// while the loop has timers must hold an operation, or wait for the thread by an event: the clock
// does not know that somebody is about to post.
#pragma once

#include <asyncio/kernel/kernel.hpp>
#include <asyncio/task/run.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace asyncio::testing {

class VirtualClock final : public kernel::Kernel {
  public:
    /// Real time for operations in flight before virtual time jumps.
    static constexpr Duration kGrace = std::chrono::milliseconds(5);
    /// Real time after which an endless wait is called a deadlock.
    static constexpr Duration kDeadlockBound = std::chrono::seconds(20);
    /// Where time begins; away from zero, so that deadlines in the past exist.
    static constexpr TimePoint kStart{std::chrono::hours(1000)};

    explicit VirtualClock(std::unique_ptr<kernel::Kernel> real,
                          Duration deadlock_bound = kDeadlockBound)
        : real_(std::move(real)), deadlock_bound_(deadlock_bound) {}
    ~VirtualClock() override;

    /// Let time pass, as if the running callback took that long. From any thread.
    void advance(Duration duration) noexcept;

    std::string_view name() const noexcept override { return real_->name(); }
    TimePoint now() noexcept override { return TimePoint(Duration(now_.load())); }
    Duration timer_grid() const noexcept override { return Duration(1); }
    void attach_to_thread() override { real_->attach_to_thread(); }
    bool submit(kernel::Operation& operation) noexcept override;
    void cancel(kernel::Operation& operation) noexcept override { real_->cancel(operation); }
    void reclaim(kernel::Operation& operation) noexcept override;
    std::vector<int> reclaim_accept(kernel::Operation& operation) noexcept override;
    void close(int fd) noexcept override { real_->close(fd); }
    bool may_have_events() const noexcept override { return real_->may_have_events(); }
    void wait(std::optional<Duration> timeout) override;
    void wake() noexcept override;
    std::size_t in_flight() const noexcept override { return real_->in_flight(); }

  private:
    static void on_completion(kernel::Operation& operation, const kernel::Completion& completion);
    bool look(Duration real_timeout);
    void forget(kernel::Operation& operation) noexcept;

    std::unique_ptr<kernel::Kernel> real_;
    const Duration deadlock_bound_;
    std::atomic<Duration::rep> now_{kStart.time_since_epoch().count()};
    std::atomic<bool> woken_{false};
    std::size_t completions_ = 0;
    // The callbacks of what is in flight; on_completion() stands in their place, to see them come.
    std::unordered_map<kernel::Operation*, kernel::Operation::Callback> callbacks_;
};

/// A loop with virtual time around a kernel of that kind.
std::unique_ptr<EventLoop> make_virtual_loop(Backend backend = Backend::automatic);

/// The clock of a loop made by make_virtual_loop(); REQUIRES: it was.
VirtualClock& clock_of(EventLoop& loop);

/// asyncio::run() on a loop with virtual time.
template <class A>
auto run(A&& main) {
    constexpr auto kFactory = [] { return make_virtual_loop(); };
    return asyncio::run(std::forward<A>(main), RunOptions{.loop_factory = kFactory});
}

}  // namespace asyncio::testing
