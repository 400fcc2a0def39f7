// SPDX-License-Identifier: MIT
#include <asyncio/task/async_exit_stack.hpp>

namespace asyncio {

Coro<> AsyncExitStack::aenter() { co_return; }

Coro<bool> AsyncExitStack::aexit(std::exception_ptr error) {
    const bool told_an_error = error != nullptr;
    bool replaced = false;
    while (!exits_.empty()) {
        const std::unique_ptr<task::StackedExit> exit = std::move(exits_.back());
        exits_.pop_back();
        try {
            const bool swallow = co_await exit->leave(error);
            if (swallow) error = nullptr;
        } catch (...) {
            error = std::current_exception();
            replaced = true;
        }
    }
    if (error && replaced) std::rethrow_exception(error);
    co_return told_an_error && !error;
}

Coro<> AsyncExitStack::aclose() {
    const bool swallowed = co_await aexit(nullptr);
    (void)swallowed;
}

}  // namespace asyncio
