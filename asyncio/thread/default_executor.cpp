// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/thread/default_executor.hpp>
#include <asyncio/thread/wrap_future.hpp>

#include <stdexcept>
#include <string>

namespace asyncio {

namespace thread {

ThreadPoolExecutor& DefaultExecutor::pool() {
    if (closed_) throw std::logic_error("Executor shutdown has been called");
    if (!pool_) pool_ = Shared<ThreadPoolExecutor>::make();
    return *pool_;
}

void DefaultExecutor::set_pool(Shared<ThreadPoolExecutor> pool) {
    if (!pool) throw std::invalid_argument("set_default_executor needs an executor");
    pool_ = std::move(pool);
}

Coro<> DefaultExecutor::shut_down(Option<Duration> timeout) {
    closed_ = true;
    if (!pool_) co_return;
    const Shared<ThreadPoolExecutor> pool = pool_;
    pool->shutdown(false);
    const Future<> finished = wrap_future(pool->finished(), loop_);
    const auto outcome = co_await as_outcome(wait_for(finished, timeout));
    if (outcome) co_return;
    if (outcome.cancelled()) outcome.value();
    const double seconds = std::chrono::duration<double>(*timeout).count();
    log(LogLevel::warning, "The executor did not finish joining its threads within " +
                               std::to_string(seconds) + " seconds.");
}

Coro<> DefaultExecutor::shut_down() { co_await shut_down(kShutdownTimeout); }

void DefaultExecutor::loop_closed() noexcept {
    closed_ = true;
    if (pool_) pool_->shutdown(false);
    pool_ = nullptr;
}

}  // namespace thread

void EventLoop::set_default_executor(Shared<ThreadPoolExecutor> executor) {
    check_usable();
    service<thread::DefaultExecutor>().set_pool(std::move(executor));
}

ASYNCIO_CORO_WRAPPER Coro<> EventLoop::shutdown_default_executor(Option<Duration> timeout) {
    check_usable();
    return service<thread::DefaultExecutor>().shut_down(timeout);
}

}  // namespace asyncio
