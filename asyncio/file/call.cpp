// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/file/call.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/inbox.hpp>
#include <asyncio/loop/operation_awaiter.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/task/task_core.hpp>
#include <asyncio/thread/shared_threads.hpp>

#include <cerrno>
#include <memory>
#include <new>
#include <stdexcept>
#include <system_error>

namespace asyncio::file {

namespace {

using Kind = os::FileCall::Kind;

constexpr int kTaken = -1;

/// A close that nobody waits for any more, or that the kernel did not take, is made all the same:
/// its descriptor has no other owner.
void close_now(const os::FileCall& what) noexcept {
    if (what.kind == Kind::close) (void)os::perform(what);
}

void close_opened(const os::FileCall& what, int result) noexcept {
    if (what.kind == Kind::open && result >= 0) os::Fd(result).reset();
}

}  // namespace

/// Shared with the thread: the call, and whom to tell.
struct CallAwaiter::OnThread {
    OnThread(CallAwaiter& waiting, EventLoop& loop)
        : awaiter(&waiting), call(waiting.call_), path(call.path), inbox(loop.inbox()) {
        if (call.waits) call.path = path.c_str();  // the caller's may go
    }

    static void notify(std::shared_ptr<OnThread> self) {
        const Shared<loop::Inbox> inbox = self->inbox;
        loop::Inbox::Place& place = self->place;
        inbox->try_post(
            [self = std::move(self)] {
                if (self->awaiter != nullptr) self->awaiter->driver_->wake();
            },
            place);
    }

    CallAwaiter* awaiter;  // the loop's side only; null when nobody waits any more
    os::FileCall call;
    std::string path;
    Shared<loop::Inbox> inbox;
    loop::Inbox::Place place;
    ConcurrentFuture<int> job;
};

CallAwaiter::CallAwaiter(const os::FileCall& what, Cancellation cancellation) noexcept
    : call_(what),
      operation_(kernel::Opcode::file, &on_completion),
      cancellation_(cancellation),
      result_(kTaken) {
    operation_.owner = this;
    operation_.file_call = &call_;
}

CallAwaiter::~CallAwaiter() {
    if (!operation_.idle()) [[unlikely]]
        loop_->kernel().reclaim(operation_);
    if (thread_)
        let_go_of_thread();
    else if (result_ == -ENOTSUP)  // and no thread could be had
        close_now(call_);
    close_opened(call_, result_);
}

bool CallAwaiter::submit(coro::Driver& driver) {
    loop_ = task::TaskCore::from(&driver)->core().loop;
    if (!loop_->kernel().submit(operation_)) {
        result_ = operation_.inline_result;
        if (result_ != -ENOTSUP) {
            if (result_ < 0) close_now(call_);
            return false;
        }
        start_thread();
        if (!thread_) return false;
    }
    driver_ = &driver;
    driver.suspend_in(*this);
    return true;
}

void CallAwaiter::start_thread() {
    const auto thread = std::make_shared<OnThread>(*this, *loop_);
    thread->job = threads().submit([thread] { return os::perform(thread->call); });
    thread_ = thread;  // from here on the destructor sees to it, whatever is thrown
    try {
        thread->job.add_done_callback(
            [thread](const ConcurrentFuture<int>&) { OnThread::notify(thread); });
    } catch (const std::bad_alloc&) {
        take_back();
    }
}

/// Nobody will hear of the thread's end: it does not begin, or we wait for it here.
void CallAwaiter::take_back() {
    const auto thread = std::move(thread_);
    thread->awaiter = nullptr;
    if (thread->job.cancel()) throw std::bad_alloc();
    thread->job.wait();
    result_ = thread->job.result();
}

/// The caller's memory goes: no thread may touch it any more.
void CallAwaiter::let_go_of_thread() noexcept {
    thread_->awaiter = nullptr;
    ConcurrentFuture<int>& job = thread_->job;
    if (result_ == kTaken) return;
    if (job.cancel()) return close_now(call_);
    if (!call_.waits) job.wait();
    if (job.done()) return close_opened(call_, job.cancelled() ? -ECANCELED : job.result());
    try {
        job.add_done_callback([call = call_](const ConcurrentFuture<int>& done) {
            if (!done.cancelled()) close_opened(call, done.result());
        });
    } catch (const std::bad_alloc&) {
        log(LogLevel::error, "no memory to close what a cancelled open() will give");
    }
}

void CallAwaiter::on_completion(kernel::Operation& operation,
                                const kernel::Completion& completion) {
    auto& self = *static_cast<CallAwaiter*>(operation.owner);
    self.result_ = completion.result;
    const bool not_begun = completion.result == -ECANCELED && !self.asked_to_end_;
    if (not_begun && self.begin_on_thread()) return;
    self.driver_->wake();
}

/// False: it has ended, with what `result_` says.
bool CallAwaiter::begin_on_thread() noexcept {
    try {
        start_thread();
        return thread_ != nullptr;
    } catch (const std::system_error& refused) {  // no thread for us either
        result_ = -refused.code().value();
    } catch (const std::exception&) {
        result_ = -ENOMEM;
    }
    if (call_.kind == Kind::close) result_ = os::perform(call_);
    return false;
}

bool CallAwaiter::cancel(const std::string& message) noexcept {
    if (cancellation_ == Cancellation::comes_later) return false;
    if (thread_) {
        if (thread_->job.done()) return false;
        driver_->deliver_cancel(message);
        if (!thread_->job.cancel() && call_.waits) {
            thread_->awaiter = nullptr;  // left alone
            driver_->wake();
        }
        return true;
    }
    if (operation_.state != kernel::Operation::State::submitted) return false;
    driver_->deliver_cancel(message);
    asked_to_end_ = true;
    loop_->kernel().cancel(operation_);
    return true;
}

int CallAwaiter::await_resume() {
    if (driver_ != nullptr && cancellation_ == Cancellation::ends_the_call)
        driver_->throw_if_cancelled();
    const int result = thread_ ? thread_->job.result() : result_;
    result_ = kTaken;
    return result;
}

ThreadPoolExecutor& threads() {
    static auto* const shared = new thread::SharedThreads(kThreads, "file");
    return shared->pool();
}

int check(int result, std::string_view call, std::string_view path) {
    if (result < 0) os::throw_system_error(-result, std::string(call) + " " + std::string(path));
    return result;
}

std::string checked_path(std::string_view path) {
    if (path.find('\0') != std::string_view::npos)
        throw std::invalid_argument("embedded null byte in a path");
    return std::string(path);
}

Coro<> ready_for(int fd, unsigned events) {
    const int result = co_await loop::Readiness(fd, events);
    check(result, "poll", "a file");
}

}  // namespace asyncio::file
