// SPDX-License-Identifier: MIT
//
// Errors that nobody waits for, told from places that cannot throw: completions, callbacks of
// protocols, destructors.
//
// An error goes to the loop's exception handler. Where there is no memory for that, the message
// alone is logged. A FatalException, as the error or thrown by the handler, leaves the loop out of
// a callback of its own, for there is no way up from here; a loop that does not run logs it.
#pragma once

#include <asyncio/loop/event_loop.hpp>

#include <exception>
#include <utility>

namespace asyncio::loop {

/// Inside a catch: what telling `message` threw is dealt with, as the head says.
void report_failed(EventLoop& loop, const char* message) noexcept;

/// Tells `error`; `fill(context)` adds what else is known.
template <class Fill>
void report_error(EventLoop& loop, const char* message, std::exception_ptr error,
                  const Fill& fill) noexcept {
    try {
        if (is_fatal(error)) std::rethrow_exception(error);
        ExceptionContext context;
        context.message = message;
        context.exception = std::move(error);
        fill(context);
        loop.call_exception_handler(context);
    } catch (...) {
        report_failed(loop, message);
    }
}

void report_error(EventLoop& loop, const char* message, std::exception_ptr error) noexcept;

}  // namespace asyncio::loop
