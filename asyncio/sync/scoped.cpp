// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/log.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/sync/scoped.hpp>

namespace asyncio::sync {

void report_release(std::exception_ptr error) noexcept {
    if (get_running_loop_or_null() == nullptr) return;
    log(LogLevel::error, "at the end of a scope that held a lock: " + describe(error));
}

}  // namespace asyncio::sync
