// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/task/future_core.hpp>

namespace asyncio::task {

namespace {
const std::string kNoMessage;
}

FutureCore::~FutureCore() {
    report_unretrieved();
    abandon_waiters();
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
    return error_;
}

void FutureCore::throw_no_result() {
    if (state_ == State::pending) throw InvalidStateError("Result is not set.");
    if (state_ == State::cancelled) throw_cancelled();
    unretrieved_ = false;
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
    complete(State::error);
}

void FutureCore::complete_cancelled(std::exception_ptr error) noexcept {
    error_ = std::move(error);
    complete(State::cancelled);
}

void FutureCore::complete(State state) noexcept {
    assert(state_ == State::pending);
    state_ = state;
    if (!waiters_.empty()) schedule_waiters();
}

void FutureCore::schedule_waiters() noexcept {
    if (core_->loop == nullptr || core_->loop->is_closed()) {
        abandon_waiters();
        return;
    }
    while (!waiters_.empty()) {
        DoneWaiter& waiter = waiters_.pop_front();
        core_->ready.push(waiter.target());
        waiter.scheduled(*this);
    }
}

void FutureCore::abandon_waiters() noexcept {
    while (!waiters_.empty()) waiters_.pop_front().abandoned();
}

void FutureCore::set_message(const std::string& message) {
    if (message.empty()) {
        if (message_) message_->clear();
    } else if (message_) {
        *message_ = message;
    } else {
        message_ = std::make_unique<std::string>(message);
    }
}

const std::string& FutureCore::message() const noexcept {
    return message_ ? *message_ : kNoMessage;
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
}

void FutureCore::report_unretrieved() noexcept {
    if (!std::exchange(unretrieved_, false)) return;
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
    try {
        core_->loop->call_exception_handler(context);
    } catch (const FatalException& e) {  // cannot leave a destructor
        log(LogLevel::error, std::string("in the exception handler: ") + e.what());
    }
}

}  // namespace asyncio::task
