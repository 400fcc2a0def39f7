// SPDX-License-Identifier: MIT
//
// What the tests of this room share: workers that note when they got in.
#pragma once

#include <asyncio/task/gather.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/wait_for.hpp>

#include <string>
#include <vector>

namespace asyncio::sync_tests {

using namespace task_tests;

/// Acquires, notes its name, and keeps it.
template <class P>
Coro<> take(P& primitive, Events& events, std::string name) {
    co_await primitive.acquire();
    events.push_back(name);
}

/// Acquires, notes its name, lets the loop turn once, and releases.
template <class P>
Coro<> take_and_release(P& primitive, Events& events, std::string name) {
    co_await primitive.acquire();
    events.push_back(name);
    co_await turns(1);
    primitive.release();
}

/// make(name), which gives a task, for each name.
template <class F>
std::vector<Task<>> start_all(const std::vector<std::string>& names, F make) {
    std::vector<Task<>> tasks;
    for (const std::string& name : names) tasks.push_back(make(name));
    return tasks;
}

/// Runs `first` on a loop until it waits, then `second` on another one; what that came to.
template <class F, class G>
std::string on_two_loops(F first, G second) {
    auto loop = testing::make_virtual_loop();
    Task<> waiting = loop->create_task(first());
    loop->run_until_complete(turns(2));
    EXPECT_FALSE(waiting.done());
    auto other = testing::make_virtual_loop();
    const auto outcome = other->run_until_complete(as_outcome(second()));
    other->close();
    waiting.cancel();
    loop->run_until_complete(turns(2));
    loop->close();
    return error_of(outcome);
}

}  // namespace asyncio::sync_tests
