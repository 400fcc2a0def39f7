// SPDX-License-Identifier: MIT
//
// run and Runner: from main() into asynchronous code and back.
//
//     int main() { asyncio::run(dinner()); }          // main's result, or its exception
//
//     asyncio::Runner runner({.debug = true});
//     runner.run(a());
//     runner.run(b());                                // the same loop
//
// At the end (Runner::close(), the destructor): 1 all tasks that are left are cancelled, once;
// 2 they are awaited; 3 those that failed are reported to the exception handler; 4 the services of
// the loop are shut down, the default executor last (it may take 5 minutes); 5 the loop is closed,
// in any case. A task that ignores its cancellation keeps run() alive.
//
// Ctrl-C: in the main thread, and if SIGINT has its default disposition, the first SIGINT cancels
// the main task; if that ends cancelled, run() throws KeyboardInterrupt. A second SIGINT ends the
// process, even if the loop is stuck.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/base/owned.hpp>
#include <asyncio/task/task.hpp>

#include <cstddef>
#include <utility>

namespace asyncio {

/// A function, or a lambda without captures, that makes a loop: gives a std::unique_ptr of one.
class LoopFactory {
  public:
    LoopFactory(std::nullptr_t = nullptr) noexcept {}
    template <class F>
        requires requires(F make, EventLoop*& to) { to = (+make)().release(); }
    LoopFactory(F make) noexcept
        : make_(reinterpret_cast<void (*)()>(+make)), call_(&call<decltype(+make)>) {}

    explicit operator bool() const noexcept { return make_ != nullptr; }
    Owned<EventLoop> operator()() const { return Owned<EventLoop>(call_(make_)); }

  private:
    template <class F>
    static EventLoop* call(void (*make)()) {
        return reinterpret_cast<F>(make)().release();
    }

    void (*make_)() = nullptr;
    EventLoop* (*call_)(void (*)()) = nullptr;
};

struct RunOptions {
    Option<bool> debug = {};  // default: the environment's ASYNCIO_DEBUG
    Backend backend = Backend::automatic;
    LoopFactory loop_factory = {};  // instead of `backend`
};

namespace task {

/// What to do about the pieces of main that need no type.
class MainRun {
  public:
    explicit MainRun(EventLoop& loop);
    ~MainRun();
    MainRun(const MainRun&) = delete;
    MainRun& operator=(const MainRun&) = delete;

    /// Run until `main` is done; throws if the loop is stopped before.
    void until_done(const AnyFuture& main);
    /// From now on SIGINT cancels `main`.
    void interruptible(AnyTask main);
    /// To be called when main threw CancelledError: throws KeyboardInterrupt instead if SIGINT was
    /// the reason.
    void translate_cancellation();

  private:
    EventLoop& loop_;
    AnyTask main_;
    std::uint64_t signal_number_ = 0;
    bool interrupted_ = false;
};

}  // namespace task

class Runner {
  public:
    explicit Runner(RunOptions options = {}) noexcept : options_(options) {}
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;
    ~Runner();

    /// Run an awaitable, or a function that returns one, on the runner's loop.
    /// All runs share one context, a copy of the first caller's, unless another is given.
    /// std::logic_error when a loop runs in this thread already, or after close().
    template <class A>
    auto run(A&& main, ContextView context = {});

    /// Makes the loop if there is none yet. std::logic_error after close().
    EventLoop& get_loop();

    /// Cancel and await what is left, close the loop. Idempotent.
    void close();

  private:
    RunOptions options_;
    Owned<Context> context_;
    Owned<EventLoop> loop_;
    bool closed_ = false;
};

template <class A>
decltype(auto) EventLoop::run_until_complete(A&& main) {
    check_can_run();
    task::MainRun run(*this);
    if constexpr (std::is_base_of_v<AnyFuture, std::remove_cvref_t<A>>) {
        if (&main.get_loop() != this)
            throw std::invalid_argument("The future belongs to a different loop");
        run.until_done(main);
        return std::forward<A>(main).result();
    } else {
        auto task = create_task(std::forward<A>(main));
        task.task().do_not_report_pending();
        run.until_done(task);
        return std::move(task).result();
    }
}

template <class A>
auto Runner::run(A&& main, ContextView context) {
    if (get_running_loop_or_null() != nullptr)
        throw std::logic_error("Runner.run() cannot be called from a running event loop");
    EventLoop& loop = get_loop();
    task::MainRun run(loop);
    auto task = loop.create_task(std::forward<A>(main),
                                 TaskOptions{.context = context ? *context : *context_});
    task.task().do_not_report_pending();
    run.interruptible(task);
    try {
        run.until_done(task);
        return std::move(task).result();
    } catch (const CancelledError&) {
        run.translate_cancellation();
        throw;
    }
}

/// Run `main` on a new loop, with everything that belongs to it before and after.
template <class A>
auto run(A&& main, RunOptions options = {}) {
    if (get_running_loop_or_null() != nullptr)
        throw std::logic_error("asyncio.run() cannot be called from a running event loop");
    Runner runner(options);
    if constexpr (std::is_void_v<decltype(runner.run(std::forward<A>(main)))>) {
        runner.run(std::forward<A>(main));
        runner.close();
    } else {
        auto result = runner.run(std::forward<A>(main));
        runner.close();
        return result;
    }
}

}  // namespace asyncio
