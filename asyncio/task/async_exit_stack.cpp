// SPDX-License-Identifier: MIT
#include <asyncio/task/async_exit_stack.hpp>

namespace asyncio {

AsyncExitStack& AsyncExitStack::operator=(AsyncExitStack&& other) noexcept {
    AsyncExitStack old(std::move(*this));
    last_ = std::move(other.last_);
    return *this;
}

/// One by one, the last first: a long chain's own destructors would run in each other.
AsyncExitStack::~AsyncExitStack() {
    while (last_) pop();
}

void AsyncExitStack::push(Owned<task::StackedExit> exit) noexcept {
    exit->before = std::move(last_);
    last_ = std::move(exit);
}

Owned<task::StackedExit> AsyncExitStack::pop() noexcept {
    Owned<task::StackedExit> exit = std::move(last_);
    last_ = std::move(exit->before);
    return exit;
}

Coro<> AsyncExitStack::aenter() { co_return; }

Coro<bool> AsyncExitStack::aexit(std::exception_ptr error) {
    const bool told_an_error = error != nullptr;
    bool replaced = false;
    while (last_) {
        const Owned<task::StackedExit> exit = pop();
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
