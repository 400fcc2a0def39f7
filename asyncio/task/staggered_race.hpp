// SPDX-License-Identifier: MIT
//
// staggered_race: attempts at the same thing, each with a head start over the next.
//
//     std::vector<std::function<Coro<Socket>()>> attempts = ...;
//     auto race = co_await asyncio::staggered_race(std::move(attempts), 250ms);
//     if (race.winner_index) use(*race.result);
//
// The first function is started at once, each other when the one before it has failed or `delay`
// has passed since that was started (std::nullopt: only after a failure). The first success wins:
// the others are cancelled and awaited. `exceptions` has one entry per function that was started,
// null for the winner, a CancelledError for who came too late. Without a winner all have failed.
//
// Happy eyeballs (RFC 8305) is this over addresses. A FatalException of an attempt is thrown.
// Cancellation: cancels the attempts that run, again each time, waits for them, then passes.
// Threads: the loop's.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/base/unique_function.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/with_cleanup.hpp>

#include <exception>
#include <optional>
#include <vector>

namespace asyncio {

/// How a race ended; of a void T the result is a Nothing.
template <class T>
struct StaggeredRace {
    std::optional<T> result;
    Option<std::size_t> winner_index;
    std::vector<std::exception_ptr> exceptions;
};

namespace task {

struct Nothing {};

/// What the attempts share; lives in the frame of staggered_race().
struct RaceState {
    RaceState() noexcept;
    ~RaceState();

    std::vector<AnyTask> tasks;
    std::vector<std::exception_ptr> exceptions;
    Option<std::size_t> winner;

    /// Attempt `index` has ended, with an error or null. True if it has won.
    bool ended(std::size_t index, const std::exception_ptr& error);
    bool failed(std::size_t index) const;
    void cancel_all(const std::string& message) const;
};

/// Start `count` attempts one after the other, until all have ended.
Coro<> run_race(RaceState& race, std::size_t count, Option<Duration> delay,
                UniqueFunction<AnyTask(std::size_t)> start);

template <class T, class F>
Coro<> attempt(RaceState& race, std::size_t index, F& function, std::optional<T>& result) {
    auto outcome = co_await outcome_of(await_call(function));
    if (!race.ended(index, outcome.error())) co_return;
    if constexpr (std::is_same_v<T, Nothing>)
        result.emplace();
    else
        result.emplace(outcome.take());
}

}  // namespace task

template <class F>
auto staggered_race(std::vector<F> functions, Option<Duration> delay) -> Coro<
    StaggeredRace<std::conditional_t<std::is_void_v<AwaitResult<std::invoke_result_t<F&>>>,
                                     task::Nothing, AwaitResult<std::invoke_result_t<F&>>>>> {
    using Result = AwaitResult<std::invoke_result_t<F&>>;
    using T = std::conditional_t<std::is_void_v<Result>, task::Nothing, Result>;
    StaggeredRace<T> end;
    task::RaceState race;
    const auto start = [&](std::size_t i) -> AnyTask {
        return create_task(task::attempt<T, F>(race, i, functions[i], end.result));
    };
    co_await task::run_race(race, functions.size(), delay, start);
    end.winner_index = race.winner;
    end.exceptions = std::move(race.exceptions);
    co_return end;
}

}  // namespace asyncio
