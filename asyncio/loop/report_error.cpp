// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/loop/report_error.hpp>

#include <new>
#include <utility>

namespace asyncio::loop {

void report_error(EventLoop& loop, const char* message, std::exception_ptr error) {
    try {
        ExceptionContext context;
        context.message = message;
        context.exception = std::move(error);
        loop.call_exception_handler(context);
    } catch (const std::bad_alloc&) {  // no memory to say more
        log(LogLevel::error, message);
    }
}

}  // namespace asyncio::loop
