// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/task/future_core.hpp>

#include <new>

namespace asyncio::task {

namespace {
const std::string kNone;
}

EventLoop& FutureCore::loop() const {
    if (core_->loop == nullptr) throw std::logic_error("the future's event loop is gone");
    return *core_->loop;
}

bool FutureCore::cancel(const std::string& message) {
    unretrieved_ = false;
    if (done()) return false;
    set_message(message);
    complete_cancelled(nullptr);
    return true;
}

std::exception_ptr FutureCore::exception() {
    if (state_ == State::pending) throw InvalidStateError("Exception is not set.");
    if (state_ == State::cancelled) throw_cancelled();
    unretrieved_ = false;
    offer_trace();
    return error_;
}

void FutureCore::throw_no_result() {
    if (state_ == State::pending) throw InvalidStateError("Result is not set.");
    if (state_ == State::cancelled) throw_cancelled();
    unretrieved_ = false;
    offer_trace();
    std::rethrow_exception(error_);
}

void FutureCore::throw_cancelled() const {
    if (error_) std::rethrow_exception(error_);
    throw CancelledError(message());
}

std::exception_ptr FutureCore::cancelled_error() const {
    return error_ ? error_ : std::make_exception_ptr(CancelledError(message()));
}

void FutureCore::require_pending() const {
    if (state_ != State::pending) throw InvalidStateError("invalid state");
}

void FutureCore::complete_with_error(std::exception_ptr error) noexcept {
    error_ = std::move(error);
    unretrieved_ = true;
    keep_trace();
    complete(State::error);
}

/// The error may be thrown again much later, and by any number of awaiters.
void FutureCore::keep_trace() noexcept {
    Owned<coro::ErrorTrace> trace = coro::take_trace(error_);
    if (!trace) return;
    if (!story_) story_.reset(new (std::nothrow) Story);
    if (story_) story_->trace = std::move(trace);
}

void FutureCore::offer_trace() const {
    if (const coro::ErrorTrace* trace = error_trace()) [[unlikely]]
        coro::put_trace(make_owned<coro::ErrorTrace>(*trace));
}

void FutureCore::schedule_waiters() noexcept {
    if (core_->closed) [[unlikely]] {
        abandon_waiters();
        return;
    }
    while (!waiters_.empty()) {
        DoneWaiter& waiter = waiters_.pop_front();
        core_->ready.push(waiter.target());
        waiter.scheduled(*this);
    }
}

void FutureCore::abandon_all_waiters() noexcept {
    while (!waiters_.empty()) waiters_.pop_front().abandoned();
}

void FutureCore::set_message(const std::string& message) {
    if (message.empty() && !story_) return;
    try {
        story().message = message;
    } catch (const std::bad_alloc&) {  // the cancellation matters more than its message
    }
}

const std::string& FutureCore::message() const noexcept { return story_ ? story_->message : kNone; }

void FutureCore::give_name(std::string_view name) {
    story().name = name;
    story().named = true;
}

const std::string* FutureCore::given_name() const noexcept {
    return story_ && story_->named ? &story_->name : nullptr;
}

FutureCore::Story& FutureCore::story() {
    if (!story_) story_ = make_owned<Story>();
    return *story_;
}

std::string FutureCore::description() const {
    static constexpr const char* kStates[] = {"pending", "finished", "failed", "cancelled"};
    std::string text = "<Future ";
    text += kStates[static_cast<int>(state_)];
    if (error_ && state_ == State::error) text += " exception=" + describe(error_);
    return text + ">";
}

void FutureCore::fill_context(ExceptionContext& context) const {
    context.future = description();
    if (const std::source_location* where = created_at())
        context.source_location =
            std::string(where->file_name()) + ":" + std::to_string(where->line());
    context.exception = error_;
    if (const coro::ErrorTrace* trace = error_trace())
        context.call_stack = format_stack(trace->outermost_first());
}

void FutureCore::report_unretrieved_now() noexcept {
    unretrieved_ = false;
    try {
        report_exception();
    } catch (const FatalException& e) {  // cannot leave a destructor
        log(LogLevel::error, e.what());
    } catch (...) {
        log(LogLevel::error,
            "an exception was never retrieved, and there is no memory to report it");
    }
}

void FutureCore::report_exception() {
    ExceptionContext context;
    context.message =
        std::string(driver() != nullptr ? "Task" : "Future") + " exception was never retrieved";
    fill_context(context);
    if (core_->loop == nullptr) {
        log(LogLevel::error, to_string(context));
        return;
    }
    ContextSlot* slot = context_slot();
    const ContextScope scope(slot != nullptr ? *slot : ContextSlot::current());
    core_->loop->call_exception_handler(context);
}

}  // namespace asyncio::task
