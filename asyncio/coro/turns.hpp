// SPDX-License-Identifier: MIT
//
// Turns: who is ready to run on one loop, and who runs. What each step of a task looks at.
//
// Invariant: while a driver's coroutine runs, it is the current driver, and the thread's current
// context is its own. While anything else runs nobody is current, and the context is the one
// outside of all steps.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/base/runnable.hpp>

namespace asyncio::coro {

class Driver;

struct Turns {
    RunQueue ready;
    Driver* current_driver = nullptr;
    ContextSlot** context = nullptr;  // where the running thread has its current one
    ContextSlot* outside = nullptr;   // what it is outside of the steps
    bool debug = false;               // steps are watched

    void enter(Driver& driver) noexcept;  // in driver.hpp
    void leave() noexcept {
        current_driver = nullptr;
        *context = outside;
    }
};

}  // namespace asyncio::coro
