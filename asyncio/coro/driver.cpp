// SPDX-License-Identifier: MIT
#include <asyncio/coro/coro.hpp>
#include <asyncio/coro/driver.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>

namespace asyncio::coro {

void Driver::destroy_chain() noexcept {
    wait_ = nullptr;
    while (PromiseBase* frame = innermost_) {
        innermost_ = frame->parent_;
        if (frame->owner_ != nullptr) *frame->owner_ = nullptr;
        frame->handle().destroy();
    }
}

CancelledError Driver::take_cancelled() noexcept {
    forget_cancel();
    try {
        return CancelledError(cancel_message());
    } catch (const std::bad_alloc&) {  // rather without its text than another error
        return CancelledError();
    }
}

void Driver::report_phantom_suspension() const noexcept {
    const std::source_location& site = innermost_->created();
    std::fprintf(stderr,
                 "asyncio: coroutine %s (%s:%u) suspended without awaiting anything.\n"
                 "GCC 12.1 and 12.2 never run the body of a coroutine that declares no variable "
                 "and awaits in a condition (PR 106188): declare a variable in it, e.g. "
                 "`const bool ready = co_await ...; if (ready)`.\n",
                 site.function_name(), site.file_name(), static_cast<unsigned>(site.line()));
    std::abort();
}

namespace {
std::atomic<NeverAwaited> never_awaited{nullptr};
}

void set_never_awaited(NeverAwaited report) noexcept { never_awaited.store(report); }

void report_never_awaited(const PromiseBase& promise) noexcept {
    if (const NeverAwaited report = never_awaited.load(std::memory_order_relaxed))
        report(promise.created());
}

void throw_already_awaited() { throw std::logic_error("cannot reuse already awaited coroutine"); }

}  // namespace asyncio::coro
