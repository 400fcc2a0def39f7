// SPDX-License-Identifier: MIT
#include <asyncio/os/fork.hpp>
#include <asyncio/thread/shared_threads.hpp>

#include <cstdint>

namespace asyncio::thread {

struct SharedThreads::Pool {
    Pool(std::size_t most, const char* name) : executor(most, name) {}

    const std::uint32_t generation = os::fork_generation();
    ThreadPoolExecutor executor;
};

ThreadPoolExecutor& SharedThreads::pool() {
    Pool* pool = current_.load();
    if (pool == nullptr || pool->generation != os::fork_generation()) {
        auto* const fresh = new Pool(most_, name_);
        if (!current_.compare_exchange_strong(pool, fresh))
            delete fresh;  // `pool` is another thread's now
        else
            pool = fresh;
    }
    return pool->executor;
}

}  // namespace asyncio::thread
