// SPDX-License-Identifier: MIT
#include <asyncio/coro/coro.hpp>
#include <asyncio/coro/driver.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <utility>

namespace asyncio::coro {

void Driver::destroy_chain() noexcept {
    if (Wait* wait = std::exchange(wait_, nullptr)) wait->dropped();
    while (PromiseBase* frame = innermost_) {
        innermost_ = frame->parent_;
        if (frame->owner_ != nullptr) *frame->owner_ = nullptr;
        frame->handle().destroy();
    }
}

void Driver::take_first_turn(Runnable& runnable, Turn turn) {
    if (turn == Turn::discard) return;
    auto& self = static_cast<Driver&>(runnable);
    if (begins(runnable)) {
        self.step();
        return;
    }
    self.forget_cancel();
    self.destroy_chain();
    self.end_unstarted();
}

void Driver::take_turn(Runnable& runnable, Turn turn) {
    if (turn == Turn::run) static_cast<Driver&>(runnable).step();
}

void Driver::step() {
    turns_->enter(*this);
    const bool waits = turns_->debug ? resume_watched() : resume_chain();
    turns_->leave();
    if (!waits || must_cancel()) settle();
}

MadeException<CancelledError> Driver::make_cancelled() noexcept {
    forget_cancel();
    try {
        return make_exception<CancelledError>(std::string(cancel_message()));
    } catch (const std::bad_alloc&) {  // rather without its text than another error
        return make_exception<CancelledError>();
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

namespace {
/// Frames nested in one another are destroyed from the outside inwards: a destructor destroys the
/// next. Below this depth they are set aside, and destroyed when the stack is shallow again.
constexpr int kDeepestDrop = 64;
thread_local constinit int drops_in_progress = 0;
thread_local constinit PromiseBase* set_aside = nullptr;
}  // namespace

void PromiseBase::drop_unstarted() noexcept {
    if (const NeverAwaited report = never_awaited.load(std::memory_order_relaxed)) report(created_);
    if (drops_in_progress == kDeepestDrop) {
        parent_ = std::exchange(set_aside, this);  // nobody awaits it
        return;
    }
    ++drops_in_progress;
    handle().destroy();
    while (drops_in_progress == 1 && set_aside != nullptr) {
        PromiseBase* next = std::exchange(set_aside, set_aside->parent_);
        next->handle().destroy();
    }
    --drops_in_progress;
}

void throw_already_awaited() { throw std::logic_error("cannot reuse already awaited coroutine"); }

}  // namespace asyncio::coro
