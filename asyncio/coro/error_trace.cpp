// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/owned.hpp>
#include <asyncio/coro/error_trace.hpp>
#include <asyncio/coro/promise.hpp>

#include <algorithm>
#include <atomic>
#include <utility>

namespace asyncio {

namespace coro {

namespace {

using Traces = std::vector<Owned<ErrorTrace>>;  // the newest last

thread_local Traces traces;
std::atomic<TraceWarden> trace_warden{nullptr};

Traces::iterator find(const std::exception_ptr& error) noexcept {
    return std::find_if(traces.begin(), traces.end(),
                        [&](const auto& trace) { return trace->error == error; });
}

/// Out of the list first, destroyed then: the exception's destructor is the user's, and may come
/// back here.
Owned<ErrorTrace> take(Traces::iterator position) noexcept {
    Owned<ErrorTrace> trace = std::move(*position);
    traces.erase(position);
    return trace;
}

void append(Owned<ErrorTrace> trace) {
    if (const TraceWarden warden = trace_warden.load(std::memory_order_relaxed)) warden();
    while (traces.size() >= kMostErrorTraces) take(traces.begin());
    traces.push_back(std::move(trace));
}

ErrorTrace& trace_of(const std::exception_ptr& error) {
    const auto known = find(error);
    if (known != traces.end()) return **known;
    append(make_owned<ErrorTrace>(error));
    return *traces.back();
}

}  // namespace

ErrorTrace::ErrorTrace(std::exception_ptr e) noexcept : error(std::move(e)) {}
ErrorTrace::ErrorTrace(const ErrorTrace&) = default;
ErrorTrace::~ErrorTrace() = default;

void ErrorTrace::add(const StackFrame& frame) {
    if (frames.size() < kMostTraceFrames) {
        frames.push_back(frame);
        return;
    }
    const std::uint32_t left_out = frames.back().left_out + 1;
    frames.back() = frame;
    frames.back().left_out = left_out;
}

std::vector<StackFrame> ErrorTrace::outermost_first() const {
    return {frames.rbegin(), frames.rend()};
}

void note_passage(const std::exception_ptr& error, const PromiseBase& frame) noexcept {
    try {
        ErrorTrace& trace = trace_of(error);
        trace.add(stack_frame(frame, !trace.frames.empty()));
    } catch (const std::bad_alloc&) {  // a trace less
    }
}

Owned<ErrorTrace> take_trace(const std::exception_ptr& error) noexcept {
    const auto known = find(error);
    if (known == traces.end()) return {};
    return take(known);
}

void put_trace(Owned<ErrorTrace> trace) noexcept {
    if (!trace) return;
    try {
        take_trace(trace->error);
        append(std::move(trace));
    } catch (const std::bad_alloc&) {
    }
}

std::exception_ptr PromiseBase::escaped() const noexcept {
    std::exception_ptr error = std::current_exception();
    if (!is_cancelled_error(error)) note_passage(error, *this);
    return error;
}

void set_trace_warden(TraceWarden warden) noexcept { trace_warden.store(warden); }

void forget_traces() noexcept { const Traces old = std::exchange(traces, Traces()); }

}  // namespace coro

std::vector<StackFrame> async_stack_of(const std::exception_ptr& error) {
    const auto known = coro::find(error);
    if (known == coro::traces.end()) return {};
    return (*known)->outermost_first();
}

}  // namespace asyncio
