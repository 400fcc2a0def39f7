// SPDX-License-Identifier: MIT
//
// ErrorTrace: the coroutines an exception passed through on its way out.
//
//     catch (const std::exception& e) {
//         log(e.what(), asyncio::format_stack(asyncio::async_stack_of(std::current_exception())));
//     }
//
// A C++ exception carries no stack. But each coroutine it leaves hands it to its promise, and each
// promise knows where it stands: so the promise notes itself in a list of this thread, under the
// exception's identity. Nothing is done when nothing is thrown; a frame that is passed costs a
// short search and a push, little beside the throw. Cancellations are not noted: they are no
// errors, and there may be a million of them.
//
//      thrown --(leaves frame after frame: note)--> caught, or at the end of its task
//                                                          |
//      in the list of the thread, with a reference         | take_trace(): the task keeps it
//      until the loop's next iteration begins <------------'
//
// While it is in the list, the exception is referred to by it: otherwise another exception could be
// made at the same address and be taken for it. So whoever keeps an exception across iterations and
// rethrows it (a task, with(), with_cleanup()) keeps its trace, too: TraceKeeper.
//
// The list is short (kMostErrorTraces, the oldest goes), and so is each trace (kMostTraceFrames).
//
// Threads: each has its own list.
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/coro/stack_frame.hpp>

#include <exception>
#include <vector>

namespace asyncio {

/// The coroutines that `error` passed through until now, outermost first; the last is where it was
/// thrown. Known in the iteration of the loop in which it is caught, and after asyncio::run() threw
/// it. Empty for a cancellation, and for what passed through none.
std::vector<StackFrame> async_stack_of(const std::exception_ptr& error);

namespace coro {

inline constexpr std::size_t kMostErrorTraces = 8;
inline constexpr std::size_t kMostTraceFrames = 100;

/// An exception's frames, innermost first.
struct ErrorTrace {
    explicit ErrorTrace(std::exception_ptr e) noexcept;
    ErrorTrace(const ErrorTrace&);
    ~ErrorTrace();

    void add(const StackFrame& frame);
    std::vector<StackFrame> outermost_first() const;

    std::exception_ptr error;
    std::vector<StackFrame> frames;
};

/// `error` leaves `frame`.
void note_passage(const std::exception_ptr& error, const PromiseBase& frame) noexcept;

/// Out of the list; null if there is none.
Owned<ErrorTrace> take_trace(const std::exception_ptr& error) noexcept;
/// Into the list, in place of what is known of that exception; null is ignored.
void put_trace(Owned<ErrorTrace> trace) noexcept;

/// Called for each trace that comes into the list: sees to it that forget_traces() is called when
/// the iteration is over, if there is one.
using TraceWarden = void (*)() noexcept;
void set_trace_warden(TraceWarden warden) noexcept;
void forget_traces() noexcept;

/// Keeps the trace of an exception that is kept itself, until it is thrown again.
class TraceKeeper {
  public:
    /// `error` may be null.
    explicit TraceKeeper(const std::exception_ptr& error) noexcept {
        if (error) [[unlikely]]
            trace_ = take_trace(error);
    }
    TraceKeeper(const TraceKeeper&) = delete;
    TraceKeeper& operator=(const TraceKeeper&) = delete;
    ~TraceKeeper() {
        if (trace_) [[unlikely]]
            put_trace(std::move(trace_));
    }

  private:
    Owned<ErrorTrace> trace_;
};

}  // namespace coro
}  // namespace asyncio
