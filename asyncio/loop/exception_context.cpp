// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/log_parts.hpp>
#include <asyncio/coro/error_trace.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/exception_context.hpp>
#include <asyncio/loop/slow_report.hpp>

#include <algorithm>
#include <cstdio>

namespace asyncio {

std::string to_string(const ExceptionContext& context) {
    std::string text =
        context.message.empty() ? "Unhandled exception in event loop" : context.message;
    const auto line = [&text](const char* key, const std::string& value) {
        if (!value.empty()) text += "\n  " + std::string(key) + ": " + value;
    };
    if (context.exception) line("exception", describe(context.exception));
    line("future", context.future);
    line("source_location", context.source_location);
    line("task", context.task);
    line("transport", context.transport);
    if (!context.call_stack.empty()) {
        text += "\n  call_stack (most recent call last):";
        for (std::string_view rest = context.call_stack; !rest.empty();) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            text += "\n  " + std::string(rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    return text;
}

void EventLoop::default_exception_handler(const ExceptionContext& context) {
    log(LogLevel::error, to_string(context));
}

void EventLoop::set_exception_handler(ExceptionHandler handler) {
    exception_handler_ = handler ? Shared<ExceptionHandler>::make(std::move(handler)) : nullptr;
}

void EventLoop::call_exception_handler(const ExceptionContext& context) {
    if (context.call_stack.empty()) {
        if (const auto stack = async_stack_of(context.exception); !stack.empty()) {
            ExceptionContext with_stack = context;
            with_stack.call_stack = format_stack(stack);
            call_exception_handler(with_stack);
            return;
        }
    }
    const Shared<ExceptionHandler> handler = exception_handler_;  // it may replace itself
    if (handler == nullptr) {
        default_exception_handler(context);
        return;
    }
    try {
        (*handler)(*this, context);
    } catch (const FatalException&) {
        throw;
    } catch (...) {
        ExceptionContext failed = context;
        failed.message = "Unhandled error in exception handler (" +
                         describe(std::current_exception()) + "), called with: " + context.message;
        default_exception_handler(failed);
    }
}

void EventLoop::callback_failed(const char* message, const Handle& handle) {
    const std::exception_ptr error = std::current_exception();
    if (is_fatal(error)) std::rethrow_exception(error);
    ExceptionContext context;
    context.message = message;
    context.exception = error;
    context.handle = handle;
    call_exception_handler(context);
}

void loop::SlowReport::finish(EventLoop& loop, std::string_view what, Describe describe,
                              const void* subject, TimePoint start) noexcept {
    const Duration took = loop.time() - start;
    if (took < loop.slow_callback_duration) return;
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.3f", std::chrono::duration<double>(took).count());
    std::string described;
    try {
        if (describe != nullptr) described = describe(subject);
    } catch (const std::bad_alloc&) {  // no memory to say more
    }
    const std::string_view who = described.empty() ? what : described;
    log_parts(LogLevel::warning, {"Executing ", who, " took ", seconds, " seconds"});
}

}  // namespace asyncio
