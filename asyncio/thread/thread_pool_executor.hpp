// SPDX-License-Identifier: MIT
//
// ThreadPoolExecutor: an Executor of threads that are started when work comes and none is idle.
//
//     asyncio::ThreadPoolExecutor pool(4, "crunch");       // threads crunch_0 ... crunch_3
//     auto f = loop.run_in_executor(pool, crunch, data);
//
// Jobs start in the order they came. An idle thread is used before a new one is made; a thread
// lives until shutdown. The queue has no limit, as Python's has none: who submits without end and
// without awaiting owns that memory. A job cancelled before its start leaves its (empty) place in
// the queue.
//
// The threads share a Crew, which the last of them frees: after shutdown(false) the executor may go
// while they work. The destructor is shutdown(): it waits, unless that was done before.
//
// Threads: any. shutdown(true) and the destructor must not be called from a thread of the pool.
#pragma once

#include <asyncio/base/ref.hpp>
#include <asyncio/thread/executor.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace asyncio {

class ThreadPoolExecutor final : public Executor {
  public:
    /// min(32, usable cores + 4), as in Python: most work of such threads waits.
    static std::size_t default_max_workers() noexcept;

    /// std::invalid_argument if `max_workers` is 0.
    explicit ThreadPoolExecutor(std::size_t max_workers = default_max_workers(),
                                std::string_view thread_name_prefix = "asyncio");
    ThreadPoolExecutor(const ThreadPoolExecutor&) = delete;
    ThreadPoolExecutor& operator=(const ThreadPoolExecutor&) = delete;
    ~ThreadPoolExecutor() override;

    /// std::system_error if no thread can be started and there is none yet.
    void execute(UniqueFunction<void()> job) override;
    void shutdown(bool wait = true, bool cancel_futures = false) override;

    /// Completed when the pool was shut down and its last thread has no more work.
    ConcurrentFuture<> finished() const;

    std::size_t max_workers() const noexcept;
    /// Threads that were started so far.
    std::size_t workers() const;

  private:
    class Crew;
    Ref<Crew> crew_;
};

}  // namespace asyncio
