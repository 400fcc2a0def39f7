// SPDX-License-Identifier: MIT
#include <asyncio/task/wait.hpp>

#include <stdexcept>

namespace asyncio::task {

void check_wait(std::size_t count, const WaitOptions& options) {
    if (count == 0) throw std::invalid_argument("wait() of nothing");
    if (options.return_when > ALL_COMPLETED)
        throw std::invalid_argument("invalid return_when value");
}

Coro<> wait_until(std::vector<Ref<FutureCore>>& futures, WaitOptions options) {
    const Ref<CompletionWatch> watch =
        CompletionWatch::start(get_running_loop(), futures, options.return_when, options.timeout);
    const StopWatch stop(*watch);
    watch->set_awaiter(&current_task().core());
    co_await NextWake(watch->changed());
}

}  // namespace asyncio::task
