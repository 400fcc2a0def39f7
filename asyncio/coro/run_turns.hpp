// SPDX-License-Identifier: MIT
//
// run_turns: the inner loop of a loop, and the path of every switch between two tasks.
//
// Most of what is ready are drivers. Their turns are told from others by their function, and made
// here: no call but the coroutine's own, and what a turn needs is in registers already. From one
// driver to the next nobody looks who is current, so the one is left only when something else
// comes. All else (callbacks, whatever debug mode watches) is run through its function; that of a
// driver does the same, entering and leaving, for those who give it a turn elsewhere.
//
// Threads: the loop's.
#pragma once

#include <asyncio/coro/promise.hpp>

namespace asyncio::coro {

/// Run all that `batch` has; what becomes ready meanwhile stays in `turns.ready`. A fatal exception
/// leaves this, and the rest in `batch`.
[[gnu::always_inline]] inline void run_turns(Turns& turns, RunBatch& batch) {
    const Runnable::Function midst = turns.debug ? nullptr : &Driver::take_turn;
    while (!batch.empty()) {
        Runnable& turn = batch.pop();
        if (!turn.does(midst) && (midst == nullptr || !Driver::begins(turn))) {
            turns.leave();
            turn.run();
            continue;
        }
        auto& driver = static_cast<Driver&>(turn);
        turns.enter(driver);
        if (driver.resume_chain() && !driver.must_cancel()) [[likely]]
            continue;
        turns.leave();
        driver.settle();
    }
    turns.leave();
}

}  // namespace asyncio::coro
