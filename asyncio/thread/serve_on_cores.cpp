// SPDX-License-Identifier: MIT
#include <asyncio/loop/signal_handlers.hpp>
#include <asyncio/os/cpu.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/thread/run_coroutine_threadsafe.hpp>
#include <asyncio/thread/serve_on_cores.hpp>
#include <asyncio/thread/start_thread.hpp>

#include <csignal>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace asyncio::thread {

namespace {

/// The threads, and what they agree on.
class Crew {
  public:
    Crew(MainFactory factory, ServeOptions options)
        : factory_(factory), options_(options), ended_(Shared<ConcurrentState<void>>::make()) {
        (void)ended_->start();  // nobody can cancel it
    }
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    ~Crew() {
        for (std::thread& thread : threads_) thread.join();
    }

    /// An error here stops those that were started.
    void start(int count) {
        {
            const std::lock_guard lock(mutex_);
            running_ = count;
        }
        for (int started = 0; started < count; ++started) {
            try {
                start_thread(threads_, [this, started] { work(started); });
            } catch (...) {
                for (int left = started; left < count; ++left) leave(std::current_exception());
                return;
            }
        }
    }

    void stop() {
        std::vector<ConcurrentFuture<>> mains;
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
            mains.swap(mains_);
        }
        for (const ConcurrentFuture<>& main : mains) main.cancel();
    }

    ConcurrentFuture<> ended() const { return ConcurrentFuture<>(ended_); }
    /// Once ended.
    const std::exception_ptr& error() const noexcept { return error_; }

  private:
    void work(int core) {
        std::exception_ptr error;
        try {
            os::name_this_thread("core_" + std::to_string(core));
            if (options_.pin) os::pin_to_core(core);
            RunOptions options;
            options.debug = options_.debug;
            options.backend = options_.backend;
            asyncio::run(main(core), options);
        } catch (...) {
            error = std::current_exception();
        }
        leave(std::move(error));
    }

    Coro<> main(int core) {
        const Future<> self(current_task().ref());
        enter(threadsafe(self));
        co_await factory_.make(factory_.factory, core);
    }

    void enter(ConcurrentFuture<> main) {
        {
            const std::lock_guard lock(mutex_);
            if (!stopping_) {
                mains_.push_back(std::move(main));
                return;
            }
        }
        main.cancel();
    }

    void leave(std::exception_ptr error) {
        bool stops = false;
        bool last = false;
        {
            const std::lock_guard lock(mutex_);
            const bool gave_way = stopping_ && is_cancelled_error(error);
            if (error && !gave_way && !error_) {
                error_ = std::move(error);
                stops = true;
            }
            last = --running_ == 0;
        }
        if (stops) stop();
        if (last) ended_->complete(ConcurrentCore::State::result);
    }

    const MainFactory factory_;
    const ServeOptions options_;
    const Shared<ConcurrentState<void>> ended_;
    std::vector<std::thread> threads_;

    std::mutex mutex_;  // guards what follows
    std::vector<ConcurrentFuture<>> mains_;
    std::exception_ptr error_;
    int running_ = 0;
    bool stopping_ = false;
};

/// SIGTERM stops the crew, if nobody else wants it.
class Termination {
  public:
    Termination(EventLoop& loop, Crew& crew) : loop_(loop) {
        struct sigaction action = {};
        if (!loop::in_main_thread() || ::sigaction(SIGTERM, nullptr, &action) != 0) return;
        if (action.sa_handler != SIG_DFL) return;
        loop.add_signal_handler(SIGTERM, [&crew] { crew.stop(); });
        installed_ = true;
    }
    Termination(const Termination&) = delete;
    Termination& operator=(const Termination&) = delete;
    ~Termination() {
        if (installed_) loop_.remove_signal_handler(SIGTERM);
    }

  private:
    EventLoop& loop_;
    bool installed_ = false;
};

/// The calling thread sleeps in a loop of its own. SIGINT cancels this, and becomes
/// KeyboardInterrupt.
Coro<> supervise(Crew& crew, int count) {
    const Termination termination(get_running_loop(), crew);
    crew.start(count);
    const auto outcome = co_await as_outcome(crew.ended());
    if (outcome) co_return;
    crew.stop();
    co_await crew.ended();
    outcome.value();
}

}  // namespace

void serve(int count, MainFactory factory, ServeOptions options) {
    if (count < 0) throw std::invalid_argument("serve_on_cores needs a number of loops");
    if (count == 0) count = os::usable_cores();
    Crew crew(factory, options);
    try {
        asyncio::run(supervise(crew, count));
    } catch (...) {
        if (crew.error()) std::rethrow_exception(crew.error());
        throw;
    }
    if (crew.error()) std::rethrow_exception(crew.error());
}

}  // namespace asyncio::thread
