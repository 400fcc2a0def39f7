// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/log.hpp>
#include <asyncio/loop/report_error.hpp>

namespace asyncio::loop {

namespace {

/// Inside a catch of a FatalException.
void leave(EventLoop& loop, const char* message) noexcept {
    const std::exception_ptr fatal = std::current_exception();
    try {
        if (!loop.is_running()) throw;
        loop.call_soon([fatal] { std::rethrow_exception(fatal); });
    } catch (...) {  // nothing to leave, or no memory
        log(LogLevel::error, message);
    }
}

}  // namespace

void report_failed(EventLoop& loop, const char* message) noexcept {
    try {
        throw;
    } catch (const FatalException&) {
        leave(loop, message);
    } catch (...) {  // no memory to say more
        log(LogLevel::error, message);
    }
}

void report_error(EventLoop& loop, const char* message, std::exception_ptr error) noexcept {
    report_error(loop, message, std::move(error), [](ExceptionContext&) {});
}

}  // namespace asyncio::loop
