// SPDX-License-Identifier: MIT
//
// Errors that nobody waits for, told by who goes on whatever becomes of the telling.
#pragma once

#include <asyncio/loop/event_loop.hpp>

#include <exception>

namespace asyncio::loop {

/// `error` goes to the exception handler of `loop`. Where there is no memory for that, `message`
/// alone is logged. Throws only what ends the program: a FatalException of the handler.
void report_error(EventLoop& loop, const char* message, std::exception_ptr error);

}  // namespace asyncio::loop
