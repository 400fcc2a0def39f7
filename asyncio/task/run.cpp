// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/loop/signal_handlers.hpp>
#include <asyncio/task/run.hpp>

#include <csignal>
#include <cstdio>
#include <memory>
#include <vector>

namespace asyncio {

namespace task {

namespace {

/// Awaits the end of a task, whatever it is.
struct End : coro::DriverAwaitable {
    explicit End(Ref<FutureCore> f) noexcept : future(std::move(f)) {}
    EndAwaiter operator co_await() const noexcept { return EndAwaiter(future); }
    Ref<FutureCore> future;
};

Coro<> await_all(std::vector<AnyTask> tasks) {
    for (const AnyTask& task : tasks) co_await End(task.ref());
}

bool has_default_disposition(int signal) noexcept {
    struct sigaction action = {};
    return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

void report_failures(EventLoop& loop, const std::vector<AnyTask>& tasks) {
    for (const AnyTask& task : tasks) {
        if (!task.done() || task.cancelled()) continue;
        const std::exception_ptr error = task.exception();
        if (!error) continue;
        ExceptionContext context;
        context.message = "unhandled exception during asyncio.run() shutdown";
        context.exception = error;
        context.task = task.get_name();
        const ContextScope scope(*task.core().context_slot());
        loop.call_exception_handler(context);
    }
}

void cancel_all_tasks(EventLoop& loop) {
    const std::vector<AnyTask> tasks = all_tasks(loop);
    if (tasks.empty()) return;
    for (const AnyTask& task : tasks) task.cancel();
    loop.run_until_complete(await_all(tasks));
    report_failures(loop, tasks);
}

/// What the rooms above keep on the loop: generators, then threads.
void shut_down_services(EventLoop& loop) {
    using Stage = loop::Service::Stage;
    for (const Stage stage : {Stage::user_code, Stage::threads})
        loop.services().for_each([&](loop::Service& service) {
            if (service.stage() == stage) loop.run_until_complete(service.shut_down());
        });
}

}  // namespace

MainRun::MainRun(EventLoop& loop) : loop_(loop) {}

MainRun::~MainRun() {
    if (signal_number_ != 0) loop_.remove_signal_handler(SIGINT, signal_number_);
}

void MainRun::interruptible(AnyTask main) {
    main_ = std::move(main);
    if (!loop::in_main_thread() || !has_default_disposition(SIGINT)) return;
    try {
        signal_number_ = loop_.add_signal_handler_once(SIGINT, [this] {
            interrupted_ = true;
            main_.cancel();
        });
    } catch (const std::exception& e) {
        log(LogLevel::debug, std::string("no SIGINT handling: ") + e.what());
    }
}

void MainRun::translate_cancellation() {
    if (interrupted_ && main_.uncancel() == 0) throw KeyboardInterrupt();
}

void MainRun::until_done(const AnyFuture& main) {
    // What the callback stops is given up with this scope: a fatal exception may leave the loop
    // while the callback is still queued, and the loop's next run is none of its business.
    struct StopWhenDone {
        StopWhenDone(EventLoop& l, const AnyFuture& future)
            : loop(std::make_shared<EventLoop*>(&l)),
              main(future),
              number(add_done_callback<AnyFuture>(future.core(), [target = loop](AnyFuture&) {
                  if (*target != nullptr) (*target)->stop();
              })) {}
        ~StopWhenDone() {
            *loop = nullptr;
            main.remove_done_callback(number);
        }
        std::shared_ptr<EventLoop*> loop;
        const AnyFuture& main;
        std::uint64_t number;
    } stop(loop_, main);
    try {
        loop_.run_forever();
    } catch (...) {
        main.core().mark_retrieved();  // it reaches the caller this way
        throw;
    }
    if (!main.done()) throw std::logic_error("Event loop stopped before Future completed.");
}

}  // namespace task

/// In a destructor: it may be memory that is missing.
static void log_failed_close(const char* error) noexcept {
    char text[256];
    std::snprintf(text, sizeof text, "while closing a Runner: %s", error);
    log(LogLevel::error, text);
}

Runner::~Runner() {
    try {
        close();
    } catch (const FatalException& e) {
        log_failed_close(e.what());
    } catch (const std::exception& e) {
        log_failed_close(e.what());
    } catch (...) {
        log_failed_close("unknown exception");
    }
}

EventLoop& Runner::get_loop() {
    if (closed_) throw std::logic_error("Runner is closed");
    if (!loop_) {
        loop_ = options_.loop_factory ? options_.loop_factory()
                                      : make_owned<EventLoop>(options_.backend);
        if (options_.debug) loop_->set_debug(*options_.debug);
        context_ = make_owned<Context>(copy_context());
    }
    return *loop_;
}

void Runner::close() {
    if (std::exchange(closed_, true) || !loop_) return;
    struct CloseLoop {
        ~CloseLoop() {
            loop->close();
            loop.reset();
        }
        Owned<EventLoop>& loop;
    } close_loop{loop_};
    task::cancel_all_tasks(*loop_);
    task::shut_down_services(*loop_);
}

}  // namespace asyncio
