// SPDX-License-Identifier: MIT
//
// SharedThreads: threads of the library's own, for all loops of the process.
//
//     SharedThreads& lookups() {
//         static auto* const threads = new SharedThreads(4, "asyncio-names");
//         return *threads;
//     }
//
// Never destroyed: a call may outlive main(). A forked child has none of its parent's threads, and
// starts anew; the parent's pool, whose locks may be held by threads that are no more, is left as
// it is.
//
// Threads: any.
#pragma once

#include <asyncio/thread/thread_pool_executor.hpp>

#include <atomic>
#include <cstddef>

namespace asyncio::thread {

class SharedThreads {
  public:
    /// `name`: of the threads; must live as long as the process.
    SharedThreads(std::size_t most, const char* name) noexcept : most_(most), name_(name) {}
    SharedThreads(const SharedThreads&) = delete;
    SharedThreads& operator=(const SharedThreads&) = delete;

    /// This process's pool.
    ThreadPoolExecutor& pool();

  private:
    struct Pool;

    const std::size_t most_;
    const char* const name_;
    std::atomic<Pool*> current_{nullptr};
};

}  // namespace asyncio::thread
