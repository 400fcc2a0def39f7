// SPDX-License-Identifier: MIT
#include <asyncio/sync/loop_bound.hpp>
#include <asyncio/task/task_core.hpp>

#include <cstdio>
#include <stdexcept>

namespace asyncio::sync {

namespace {

loop::Core& core_of(coro::Driver& driver) noexcept { return task::TaskCore::from(&driver)->core(); }

std::string name_of(const loop::Core& core) {
    if (core.loop == nullptr) return "<EventLoop, gone>";
    char text[64];
    std::snprintf(text, sizeof text, "<EventLoop %.16s at %p>", core.loop->backend_name().data(),
                  static_cast<const void*>(core.loop));
    return text;
}

}  // namespace

bool LoopBound::bind(coro::Driver& driver) noexcept {
    if (core_) return false;
    core_ = Ref<loop::Core>(&core_of(driver));
    return true;
}

void LoopBound::throw_foreign(const char* what, coro::Driver& driver) const {
    throw std::logic_error(std::string(what) + ": bound to a different event loop: to " +
                           name_of(*core_) + ", and the task is of " + name_of(core_of(driver)));
}

}  // namespace asyncio::sync
