// SPDX-License-Identifier: MIT
//
// DefaultExecutor: a loop's own pool, for run_in_executor(nullptr, ...) and to_thread.
//
//     none --first use--> pool --shutdown_default_executor()--> closed     (throws from then on)
//
// When run() ends it waits for the pool at most kShutdownTimeout, then warns. Closing the loop
// tells the pool to end and does not wait: a job that still runs may outlive the loop, and even
// main().
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/thread/thread_pool_executor.hpp>

namespace asyncio::thread {

class DefaultExecutor final : public loop::Service {
  public:
    /// How long run() waits for it at the end.
    static constexpr Duration kShutdownTimeout = std::chrono::seconds(300);

    explicit DefaultExecutor(EventLoop& loop) noexcept : Service(Stage::threads), loop_(loop) {}

    /// The pool, made if there is none yet. std::logic_error after shutdown.
    ThreadPoolExecutor& pool();
    void set_pool(Shared<ThreadPoolExecutor> pool);

    Coro<> shut_down(Option<Duration> timeout);
    Coro<> shut_down() override;
    void loop_closed() noexcept override;

  private:
    EventLoop& loop_;
    Shared<ThreadPoolExecutor> pool_;
    bool closed_ = false;
};

}  // namespace asyncio::thread
