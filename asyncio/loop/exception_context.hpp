// SPDX-License-Identifier: MIT
//
// ExceptionContext: what the loop's exception handler is told about an error nobody took.
//
// asyncio passes a dict; these are its keys. Only `message` is always there.
#pragma once

#include <asyncio/base/unique_function.hpp>
#include <asyncio/loop/handle.hpp>

#include <exception>
#include <string>

namespace asyncio {

class EventLoop;

struct ExceptionContext {
    std::string message;
    std::exception_ptr exception = nullptr;
    std::string task = {};             // the task's name
    std::string future = {};           // a description of the future
    std::string transport = {};        // a description of the connection
    std::string source_location = {};  // where the task or future was created, file:line
    std::string call_stack = {};  // the coroutines that `exception` passed through, or in which the
                                  // task stands, outermost first, a line each
    Handle handle = {};
};

/// Set with EventLoop::set_exception_handler. May throw; see call_exception_handler.
using ExceptionHandler = UniqueFunction<void(EventLoop&, const ExceptionContext&)>;

/// The context as the default handler logs it: the message, then sorted `key: value` lines.
std::string to_string(const ExceptionContext& context);

}  // namespace asyncio
