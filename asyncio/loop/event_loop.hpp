// SPDX-License-Identifier: MIT
//
// EventLoop: the ready queue, the timers, the kernel, and one rule that binds them (M1-M14).
//
// One iteration (poll, run_ready):
//
//     1  hooks before the poll           connections flush what they buffered
//     2  how long may the poll block?    not at all if something is ready or stop() was called,
//                                        else until the next deadline, at most a day
//     3  poll the kernel                 completions append to the ready queue
//     4  posts of other threads          append to the ready queue
//     5  timers that are due             append to the ready queue, in order of deadline
//     6  run exactly what was ready then; what is added meanwhile waits for the next iteration
//
// The loop knows handles, timers, readiness and wake-up. It knows no task: it runs Runnables, and
// keeps a list of members only so that nothing outlives it unseen. Networking, processes and files
// are verbs of their own rooms.
//
// Lifetime: futures and tasks may outlive the loop; they share its Core, which outlives both.
//
// Threads: everything belongs to the thread that runs the loop, except call_soon_threadsafe, the
// handle it returns, is_running(), is_closed() and time().
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/option.hpp>
#include <asyncio/base/owned.hpp>
#include <asyncio/base/ref.hpp>
#include <asyncio/base/runnable.hpp>
#include <asyncio/base/shared.hpp>
#include <asyncio/base/time.hpp>
#include <asyncio/coro/driver.hpp>
#include <asyncio/kernel/backend.hpp>
#include <asyncio/loop/core.hpp>
#include <asyncio/loop/exception_context.hpp>
#include <asyncio/loop/handle.hpp>
#include <asyncio/loop/net_verbs.hpp>
#include <asyncio/loop/service.hpp>
#include <asyncio/loop/task_factory.hpp>
#include <asyncio/loop/timer_queue.hpp>

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio {

namespace kernel {
class Kernel;
}
template <class T = void>
class Future;
template <class T = void>
class Task;
struct TaskOptions;
template <class T>
class Coro;
struct SubprocessOptions;
class Executor;
class ThreadPoolExecutor;
struct StartTlsOptions;

namespace stream {
class Protocol;
class SecureContext;
class Transport;
}  // namespace stream

namespace loop {

class Inbox;
class Watchers;
class SignalHandlers;

/// Tells threads apart, without the weight of <thread>.
using ThreadMark = const void*;
ThreadMark this_thread() noexcept;

/// What a scheduling function's first argument is, unless it is a Context.
template <class F>
concept Callable = !std::is_same_v<std::remove_cvref_t<F>, Context>;

/// Calling an F gives a coroutine, which a callback's caller would drop unstarted.
template <class F, class... Args>
concept MakesCoroutine =
    requires { typename std::remove_cvref_t<std::invoke_result_t<F&, Args...>>::AwaitedOnce; };

template <class F, class... Args>
constexpr auto check_callback() {  // auto: instantiated at once, before anything else can fail
    static_assert(std::is_invocable_v<std::decay_t<F>&, std::decay_t<Args>...>,
                  "the callback cannot be called with these arguments");
    static_assert(!MakesCoroutine<std::decay_t<F>, std::decay_t<Args>...>,
                  "a coroutine is no callback, nothing would run it: use create_task");
}

}  // namespace loop

/// call_soon_threadsafe's handle; usable from any thread. cancel() before the callback starts
/// guarantees that it does not run; while it runs on another thread, both calls block.
class ThreadsafeHandle {
  public:
    ThreadsafeHandle(std::uint64_t inbox, std::uint64_t number) noexcept
        : inbox_(inbox), number_(number) {}
    void cancel();
    /// True if this handle's cancel() kept the callback from running.
    bool cancelled() const;

  private:
    std::uint64_t inbox_;
    std::uint64_t number_;
    bool cancelled_ = false;
};

class EventLoop : public loop::NetVerbs {
  public:
    /// Throws std::system_error if no kernel can be made.
    explicit EventLoop(Backend backend = Backend::automatic);
    template <class Owner>  // a std::unique_ptr
        requires requires(Owner& owner, kernel::Kernel*& to) { to = owner.release(); }
    explicit EventLoop(Owner kernel) : EventLoop(Owned<kernel::Kernel>(kernel.release())) {}
    explicit EventLoop(Owned<kernel::Kernel> kernel);
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;
    /// Closes the loop; reports it if that was forgotten.
    ~EventLoop();

    // --- running ---------------------------------------------------------------------------

    /// Iterate until stop(). Throws std::logic_error if closed, running, or another loop runs in
    /// this thread. A FatalException of a callback leaves it; what was not run yet stays queued.
    void run_forever();

    /// Run `main`, a coroutine, task, future or other awaitable, to its end; its result or
    /// exception. std::logic_error "Event loop stopped before Future completed." if stop()ped.
    template <class A>
    decltype(auto) run_until_complete(A&& main);

    /// The present iteration ends, then run_forever() returns.
    void stop() noexcept { stopping_ = true; }

    /// Drops callbacks and timers without running them, reports and destroys pending tasks, closes
    /// connections. The clock goes on; the system's resources of the loop itself (ring, epoll and
    /// wake-up descriptors) go with its destructor. Idempotent. std::logic_error while running.
    void close();

    /// Throws what run_forever() would throw at once.
    void check_can_run() const;

    bool is_running() const noexcept;
    bool is_closed() const noexcept;

    // --- scheduling ------------------------------------------------------------------------
    //
    // A callback runs in a copy of the caller's context, or in the Context given before it.

    template <class F, class... Args>
    Handle call_soon(const Context& context, F&& f, Args&&... args) {
        Handle handle = call_soon(std::forward<F>(f), std::forward<Args>(args)...);
        handle.run_in(context);
        return handle;
    }
    template <loop::Callable F, class... Args>
    Handle call_soon(F&& f, Args&&... args) {
        check_usable();
        auto* node = make_callback<false>(std::forward<F>(f), std::forward<Args>(args)...);
        Handle handle{Ref<loop::CallbackNode>(node)};
        node->add_ref();  // the queue's
        core_->ready.push(*node);
        return handle;
    }

    /// After `delay`; negative: in the next iteration.
    template <class... F>
    TimerHandle call_later(Duration delay, F&&... f_and_args) {
        return call_at(deadline_after(time(), delay), std::forward<F>(f_and_args)...);
    }

    /// At `when` on the loop's clock. Equal deadlines fire in the order of the calls.
    template <class F, class... Args>
    TimerHandle call_at(TimePoint when, const Context& context, F&& f, Args&&... args) {
        TimerHandle handle = call_at(when, std::forward<F>(f), std::forward<Args>(args)...);
        handle.run_in(context);
        return handle;
    }
    template <loop::Callable F, class... Args>
    TimerHandle call_at(TimePoint when, F&& f, Args&&... args) {
        check_usable();
        auto* node = make_callback<true>(std::forward<F>(f), std::forward<Args>(args)...);
        TimerHandle handle{Ref<loop::CallbackNode>(node)};
        node->add_ref();  // the timer queue's
        timers_.arm(*node->timer(), when);
        return handle;
    }

    /// From any thread. Wakes a sleeping loop. std::logic_error if closed.
    template <class F, class... Args>
    ThreadsafeHandle call_soon_threadsafe(const Context& context, F&& f, Args&&... args) {
        return post(loop::bind_arguments(std::forward<F>(f), std::forward<Args>(args)...),
                    ContextSlot(context));
    }
    template <loop::Callable F, class... Args>
    ThreadsafeHandle call_soon_threadsafe(F&& f, Args&&... args) {
        loop::check_callback<F, Args...>();
        return post(loop::bind_arguments(std::forward<F>(f), std::forward<Args>(args)...),
                    ContextSlot::copy_current());
    }

    /// The loop's monotonic clock.
    TimePoint time() const noexcept;

    template <class T>
    Future<T> create_future(std::source_location where = std::source_location::current());
    template <class A>
    auto create_task(A&& awaitable, std::source_location where = std::source_location::current());
    template <class A>
    auto create_task(A&& awaitable, TaskOptions options,
                     std::source_location where = std::source_location::current());

    /// Null restores the default, which does nothing. asyncio::eager_task_factory is one.
    void set_task_factory(TaskFactory factory);
    /// The present factory, or null.
    const TaskFactory* get_task_factory() const noexcept { return task_factory_.get(); }

    /// Close the asynchronous generators that are suspended (async_generator.hpp), all at once;
    /// what they throw is reported. run() does it at its end.
    Coro<> shutdown_asyncgens();

    // --- threads: room `thread` ------------------------------------------------------------

    /// Call f(args...) in a thread of `executor` (null: the default one); a Future of the result.
    template <class F, class... Args>
    auto run_in_executor(Executor* executor, F&& f, Args&&... args);
    template <class F, class... Args>
    auto run_in_executor(Executor& executor, F&& f, Args&&... args);
    /// Use `executor`, a std::shared_ptr, where none is named. An earlier one is not shut down.
    /// std::invalid_argument if null.
    void set_default_executor(Shared<ThreadPoolExecutor> executor);
    /// No more work for the default executor; wait until it has done what it has, at most
    /// `timeout`, then warn and give up waiting. To be awaited in a task of this loop.
    Coro<> shutdown_default_executor(Option<Duration> timeout = {});

    // --- descriptors and signals -----------------------------------------------------------

    /// Call `f` whenever `fd` is readable (level-triggered), until removed. Replaces an earlier
    /// reader of the same descriptor. std::invalid_argument if `fd` is none.
    /// std::logic_error if a transport owns it.
    void add_reader(int fd, UniqueFunction<void()> f);
    void add_writer(int fd, UniqueFunction<void()> f);
    /// True if there was one. A callback that is already queued is not called any more.
    bool remove_reader(int fd) noexcept;
    bool remove_writer(int fd) noexcept;

    /// Run `f` as a normal callback when the process receives `signal`. One handler per signal and
    /// process; re-adding replaces. std::invalid_argument for no signal, std::logic_error for
    /// SIGKILL and SIGSTOP, outside the main thread, and when closed.
    void add_signal_handler(int signal, UniqueFunction<void()> f);
    /// The same for one delivery: the signal's next one has the default disposition. For Ctrl-C,
    /// which must end even a program whose loop is stuck. Returns a number for the removal.
    std::uint64_t add_signal_handler_once(int signal, UniqueFunction<void()> f);
    bool remove_signal_handler(int signal, std::uint64_t number);
    /// Restores the default disposition. True if there was one.
    bool remove_signal_handler(int signal);

    // --- TLS and subprocesses; connections and sockets: see loop/net_verbs.hpp --------------

    /// Make a TLS connection of one in use; see stream/secure.hpp. `protocol` gets the decrypted
    /// data from now on (its connection_made is not called again), and the result is its transport:
    /// `transport` itself must not be used any more. On failure the connection is closed.
    Coro<Ref<stream::Transport>> start_tls(stream::Transport& transport, stream::Protocol& protocol,
                                           const stream::SecureContext& context,
                                           StartTlsOptions options);
    template <class F, class... Arguments>
    auto subprocess_exec(F factory, SubprocessOptions options, std::string_view program,
                         const Arguments&... arguments);
    template <class F>
    auto subprocess_shell(F factory, SubprocessOptions options, std::string_view command);

    // --- errors and debugging --------------------------------------------------------------

    /// Null restores the default handler, which logs.
    void set_exception_handler(ExceptionHandler handler);
    /// The present handler, or null.
    const ExceptionHandler* get_exception_handler() const noexcept {
        return exception_handler_.get();
    }
    /// Never throws, except what is fatal.
    void call_exception_handler(const ExceptionContext& context);
    void default_exception_handler(const ExceptionContext& context);

    /// Initially on if the environment variable ASYNCIO_DEBUG is set and not empty.
    void set_debug(bool on) noexcept { core_->debug = on; }
    bool get_debug() const noexcept { return core_->debug; }

    /// Debug mode reports callbacks and task steps that take at least this long.
    Duration slow_callback_duration = std::chrono::milliseconds(100);

    /// "io_uring" or "epoll".
    std::string_view backend_name() const noexcept;

    // --- for the rooms above ---------------------------------------------------------------

    loop::Core& core() const noexcept { return *core_; }
    /// Shared, because a factory may replace itself.
    const Shared<TaskFactory>& task_factory() const noexcept { return task_factory_; }
    loop::TimerQueue& timers() noexcept { return timers_; }
    kernel::Kernel& kernel() noexcept { return *kernel_; }
    loop::SignalHandlers& signals() noexcept { return *signals_; }
    IntrusiveList<loop::Member>& members() noexcept { return members_; }
    /// Tells iterations apart.
    std::uint32_t iteration() const noexcept { return iteration_; }
    void before_poll(loop::PollHook& hook) noexcept {
        if (!hook.linked()) hooks_.push_back(hook);
    }
    /// This loop's S (service.hpp); made on first use, as S(*this).
    template <class S>
    S& service() {
        if (S* found = find_service<S>()) return *found;
        return static_cast<S&>(adopt(make_owned<S>(*this), &loop::service_key<S>));
    }
    /// The same, or null if there is none yet.
    template <class S>
    S* find_service() noexcept {
        return static_cast<S*>(service_of(&loop::service_key<S>));
    }
    IntrusiveList<loop::Service>& services() noexcept { return services_; }
    /// The door for other threads; may outlive the loop.
    const Shared<loop::Inbox>& inbox() const noexcept { return inbox_; }
    /// Descriptors of transports: nobody else may watch them.
    void own_descriptor(int fd, bool owned);
    bool owns_descriptor(int fd) const noexcept;

    /// Throws std::logic_error when closed or, in debug mode, called from a foreign thread.
    void check_usable() const {
        if (core_->closed || core_->debug) [[unlikely]]
            check_usable_slowly();
    }
    /// The handler for what a callback throws; to be called inside catch. Rethrows what is fatal.
    void callback_failed(const char* message, const Handle& handle);

  private:
    template <bool Timed, class F, class... Args>
    auto* make_callback(F&& f, Args&&... args) {
        loop::check_callback<F, Args...>();
        auto callable = loop::bind_arguments(std::forward<F>(f), std::forward<Args>(args)...);
        return loop::Callback<decltype(callable), Timed>::make(*this, std::move(callable));
    }
    ThreadsafeHandle post(UniqueFunction<void()> f, ContextSlot context);
    loop::Service* service_of(const void* key) noexcept;
    loop::Service& adopt(Owned<loop::Service> service, const void* key);

    loop::ThreadMark running_in() const noexcept;
    static void expect_trace_end() noexcept;
    void end_traces() noexcept;
    void check_usable_slowly() const;
    void poll();
    bool run_hooks();
    void sleep();
    Duration time_until(TimePoint deadline) const noexcept;
    void run_ready();
    void drop_everything() noexcept;

    Ref<loop::Core> core_;
    Owned<kernel::Kernel> kernel_;
    loop::TimerQueue timers_;
    IntrusiveList<loop::PollHook> hooks_;
    loop::TraceEnd trace_end_;
    Shared<loop::Inbox> inbox_;
    Owned<loop::Watchers> watchers_;
    Owned<loop::SignalHandlers> signals_;
    IntrusiveList<loop::Member> members_;
    IntrusiveList<loop::Service> services_;       // newest first
    Shared<TaskFactory> task_factory_;            // null: none; kept while it runs
    Shared<ExceptionHandler> exception_handler_;  // null: the default; kept while it runs
    // Read by other threads, through std::atomic_ref: <atomic> is a heavy header.
    mutable loop::ThreadMark running_in_ = nullptr;
    mutable bool closed_ = false;
    std::uint32_t iteration_ = 1;
    bool stopping_ = false;
};

namespace loop {
extern thread_local constinit EventLoop* running_loop;
[[noreturn]] void throw_no_running_loop();
}  // namespace loop

/// The loop running in this thread, or null.
inline EventLoop* get_running_loop_or_null() noexcept { return loop::running_loop; }

/// The same; std::logic_error "no running event loop" if there is none.
inline EventLoop& get_running_loop() {
    EventLoop* loop = get_running_loop_or_null();
    if (loop == nullptr) [[unlikely]]
        loop::throw_no_running_loop();
    return *loop;
}

}  // namespace asyncio
