// SPDX-License-Identifier: MIT
//
// Done callbacks: functions called with the future, through the loop, once it is done.
//
// A pending future's callback must not keep that future alive (the two would own each other), so
// the reference it is called with is made at the moment the future is done.
#pragma once

#include <asyncio/loop/event_loop.hpp>
#include <asyncio/task/future_core.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>

namespace asyncio::task {

/// What a callback node calls: f(Handle(future)).
template <class HandleType, class F>
struct DoneCall {
    void operator()() {
        HandleType handle(future);
        f(handle);
    }
    F f;
    Ref<FutureCore> future;  // set when the future is done
};

/// Put a callback among the future's waiters; returns its number. `argument` is inside `node`.
std::uint64_t register_done_callback(FutureCore& future, Ref<loop::CallbackNode> node,
                                     Ref<FutureCore>& argument);

/// 1 if removed, 0 if unknown or already scheduled.
std::size_t remove_done_callback(FutureCore& future, std::uint64_t number) noexcept;

template <class HandleType, class F>
std::uint64_t add_done_callback(FutureCore& future, F&& f, ContextView context = {}) {
    static_assert(std::is_invocable_v<std::decay_t<F>&, HandleType&>,
                  "a done callback is called with the future: [](asyncio::Future<T>& f) { ... }");
    using Call = DoneCall<HandleType, std::decay_t<F>>;
    if (future.done()) future.loop().check_usable();  // it would be scheduled now
    auto* node = loop::Callback<Call, false>::make(future.loop(), Call{std::forward<F>(f), {}});
    if (context) node->run_in(*context);
    return register_done_callback(future, Ref<loop::CallbackNode>(node), node->callable().future);
}

}  // namespace asyncio::task
