// SPDX-License-Identifier: MIT
// error: asyncio's awaitables can be awaited only in a coroutine that returns asyncio::Coro
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

struct Foreign {
    struct promise_type {
        Foreign get_return_object() { return {}; }
        std::suspend_never initial_suspend() { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
};
Foreign f() { co_await asyncio::sleep(1s); }
