// SPDX-License-Identifier: MIT
//
// serve_on_cores: one loop and one thread per core, started and stopped together.
//
//     Coro<> service() {
//         asyncio::Server server = co_await asyncio::start_server(handle, "", 80, {.reuse_port =
//         true}); co_await server.serve_forever();
//     }
//     int main() { asyncio::serve_on_cores(0, [] { return service(); }); }
//
// The loops share nothing: the kernel spreads connections over sockets with SO_REUSEPORT. What has
// to be shared goes through call_soon_threadsafe, run_coroutine_threadsafe or a ConcurrentFuture.
//
//     serving --> stopping     the first error of a main, SIGINT, SIGTERM: all mains are cancelled
//        |           |
//        '-----------'--> ended     when all have: threads are joined, the first error is rethrown
//
// A main that returns just ends; the others go on. One that gives way to the cancellation of a stop
// is no error. A second SIGINT ends the process, as with run().
//
// Threads: blocks the calling one, in which no loop may run. Signals are handled if that is the
// main thread and they have their default disposition.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/kernel/backend.hpp>
#include <asyncio/task/awaitable.hpp>

#include <type_traits>
#include <utility>

namespace asyncio {

struct ServeOptions {
    bool pin = false;                      // each thread stays on its core
    Option<bool> debug = {};               // as RunOptions
    Backend backend = Backend::automatic;  // as RunOptions
};

namespace thread {

/// A user's factory, called as make(factory, number of the loop): a coroutine that calls and
/// awaits.
struct MainFactory {
    Coro<> (*make)(void* factory, int number);
    void* factory;
};

/// The factory is called in each thread, possibly at the same time.
void serve(int count, MainFactory factory, ServeOptions options);

template <class F>
Coro<> main_of(void* erased, int number) {
    F& factory = *static_cast<F*>(erased);
    if constexpr (std::is_invocable_v<F&, int>) {
        co_await task::call(factory, std::move(number));
    } else {
        static_cast<void>(number);
        co_await task::call(factory);
    }
}

template <class F>
concept MakesMain = std::is_invocable_v<F&> || std::is_invocable_v<F&, int>;

}  // namespace thread

/// Run what `factory()` (or `factory(number_of_the_loop)`) returns, an awaitable, in each of
/// `count` threads; 0: one for each usable core. `factory` is called once per thread, there, at any
/// time. Returns when all have ended. Throws the first error; KeyboardInterrupt after SIGINT.
/// std::invalid_argument for a negative count, std::logic_error if a loop runs in this thread.
template <thread::MakesMain F>
void serve_on_cores(int count, F factory, ServeOptions options = {}) {
    thread::serve(count, {&thread::main_of<F>, &factory}, options);
}

}  // namespace asyncio
