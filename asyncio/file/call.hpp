// SPDX-License-Identifier: MIT
//
// Call: a call on a file from a coroutine. It is given to the kernel where that can make it without
// a thread (io_uring), else to one of the room's threads. The result is the same: >= 0, or -errno.
//
//     const int fd = co_await file::Call({.kind = os::FileCall::Kind::open, .path = name.c_str()});
//
//     idle --submit--> in the kernel --completion--> woken --> resumed
//        '--submit--> on a thread --post to the loop--^
//
// io_uring has threads of the system's own for calls that wait. When it cannot make one, because
// signals come too fast (its attempts are three) or because of a limit on processes, the call ends
// with ECANCELED although nobody asked for that: it was not begun, and one of our threads makes it.
//
// Paths and memory are lent until the call has ended: a cancelled task goes on only then, and a
// frame that is destroyed waits for it (catalogue A2, A14), for as long as the disk takes. A call
// that a thread has begun cannot be interrupted; one that stands in the queue is taken back. An
// open that waits for somebody (a FIFO's reader) is left alone on its thread, and what it opens in
// the end is closed; so is what a cancelled open has opened.
//
// A call that must happen (close, write: after(Cancellation::comes_later)) is not asked to end. Its
// result is given, and the cancellation comes out of the task's next await. A close happens even if
// its frame is destroyed before (its loop was closed): the descriptor has no other owner.
//
// The threads are the room's own, so that slow disks stand in nobody else's way, and name lookups
// not in theirs (catalogue C15).
//
// Threads: the loop's.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/kernel/operation.hpp>
#include <asyncio/os/file_call.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace asyncio {
class EventLoop;
class ThreadPoolExecutor;
}  // namespace asyncio

namespace asyncio::file {

/// Disks do not get faster with more of them than this; libuv has four.
inline constexpr std::size_t kThreads = 8;

enum class Cancellation : std::uint8_t { ends_the_call, comes_later };

class CallAwaiter final : public coro::Wait {
  public:
    CallAwaiter(const os::FileCall& what, Cancellation cancellation) noexcept;
    ~CallAwaiter();

    bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) {
        return submit(frame.promise().driver());
    }
    int await_resume();

    bool cancel(const std::string& message) noexcept override;
    const char* what() const noexcept override { return call_.name(); }

  private:
    struct OnThread;

    static void on_completion(kernel::Operation& operation, const kernel::Completion& completion);
    bool submit(coro::Driver& driver);
    void start_thread();
    bool begin_on_thread() noexcept;
    void take_back();
    void let_go_of_thread() noexcept;

    os::FileCall call_;
    kernel::Operation operation_;
    EventLoop* loop_ = nullptr;  // set when it was submitted
    std::shared_ptr<OnThread> thread_;
    coro::Driver* driver_ = nullptr;  // set when it suspended
    Cancellation cancellation_;
    bool asked_to_end_ = false;  // of the kernel
    int result_;
};

class [[nodiscard]] Call : public coro::DriverAwaitable {
  public:
    explicit Call(const os::FileCall& what,
                  Cancellation cancellation = Cancellation::ends_the_call) noexcept
        : call_(what), cancellation_(cancellation) {}

    CallAwaiter operator co_await() const noexcept { return CallAwaiter(call_, cancellation_); }

  private:
    os::FileCall call_;
    Cancellation cancellation_;
};

/// The room's threads, for what is no FileCall.
ThreadPoolExecutor& threads();

/// Throws for a result below zero: "open notes.txt: No such file or directory".
int check(int result, std::string_view call, std::string_view path);

/// A path as the system wants it. std::invalid_argument if it has a null byte in it.
std::string checked_path(std::string_view path);

/// Wait until `fd`, which is no regular file, can be read (POLLIN) or written (POLLOUT).
Coro<> ready_for(int fd, unsigned events);

}  // namespace asyncio::file
