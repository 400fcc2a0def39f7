// SPDX-License-Identifier: MIT
//
// What no kernel call covers, on one of the room's threads. `f` owns all it needs: a cancelled task
// goes on at once, and what was begun goes on without it.
#pragma once

#include <asyncio/file/call.hpp>
#include <asyncio/thread/thread_pool_executor.hpp>
#include <asyncio/thread/wrap_future.hpp>

namespace asyncio::file {

template <class F>
Coro<std::invoke_result_t<F&>> on_thread(F f) {
    co_return co_await wrap_future(threads().submit(std::move(f)));
}

}  // namespace asyncio::file
