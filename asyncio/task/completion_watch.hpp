// SPDX-License-Identifier: MIT
//
// CompletionWatch: looks at a set of futures and wakes whoever waits when enough of them are done;
// what wait() and as_completed() have in common.
//
// Each distinct future has a node among its waiters. When it is done the node goes through the
// ready queue, as a done callback does, and enters the future into the list of the finished. The
// watch is counted because a node may still be in the ready queue when its user has gone.
//
//     watching --each future--> finished() grows; `wakes` says when changed() is woken
//              --time is up---> timed_out(): no node is left with a future, finished() stays
//              --stop()-------> the same, by the user
//
// Threads: the loop's. It never cancels a future.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/base/owned.hpp>
#include <asyncio/task/future_core.hpp>
#include <asyncio/task/wait_list.hpp>

#include <span>
#include <vector>

namespace asyncio {

/// When wait() returns.
enum class ReturnWhen : std::uint8_t { first_completed, first_exception, all_completed };
inline constexpr ReturnWhen FIRST_COMPLETED = ReturnWhen::first_completed;
inline constexpr ReturnWhen FIRST_EXCEPTION = ReturnWhen::first_exception;
inline constexpr ReturnWhen ALL_COMPLETED = ReturnWhen::all_completed;

namespace task {

class CompletionWatch final : public RefCounted {
  public:
    /// `futures` are distinct. std::invalid_argument if one belongs to another loop.
    static Ref<CompletionWatch> start(EventLoop& loop, std::span<const Ref<FutureCore>> futures,
                                      ReturnWhen wakes, Option<Duration> timeout);

    /// Of each future its first occurrence, in order.
    static void make_distinct(std::vector<Ref<FutureCore>>& futures);

    /// Indices of the futures that are done, in the order in which they were.
    const std::vector<std::size_t>& finished() const noexcept { return finished_; }
    std::size_t size() const noexcept { return size_; }
    bool timed_out() const noexcept { return timed_out_; }
    /// Woken when there is news, see `wakes`, and when the time is up.
    WaitList& changed() noexcept { return changed_; }
    /// For inspection: who waits; null for nobody in particular.
    void set_awaiter(FutureCore* awaiter) noexcept { awaiter_ = awaiter; }

    /// Leave the futures alone from now on, and the timer, too.
    void stop() noexcept;

    void destroy() noexcept { delete this; }

  private:
    class Node;

    CompletionWatch(std::span<const Ref<FutureCore>> futures, ReturnWhen wakes);
    ~CompletionWatch();

    void future_done(std::size_t index);
    void time_is_up() noexcept;

    Owned<Node[]> nodes_;
    std::size_t size_;
    std::vector<std::size_t> finished_;
    WaitList changed_;
    Handle timer_;
    FutureCore* awaiter_ = nullptr;
    ReturnWhen wakes_;
    bool timed_out_ = false;
    bool stopped_ = false;
};

/// Stops a watch when a scope is left, however that is.
class StopWatch {
  public:
    explicit StopWatch(CompletionWatch& watch) noexcept : watch_(watch) {}
    StopWatch(const StopWatch&) = delete;
    StopWatch& operator=(const StopWatch&) = delete;
    ~StopWatch() { watch_.stop(); }

  private:
    CompletionWatch& watch_;
};

}  // namespace task
}  // namespace asyncio
