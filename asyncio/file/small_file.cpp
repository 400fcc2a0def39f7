// SPDX-License-Identifier: MIT
#include <asyncio/file/small_file.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/kernel/small_file.hpp>
#include <asyncio/loop/event_loop.hpp>

#include <cerrno>
#include <utility>

namespace asyncio::file {

bool SmallFileReaders::join() noexcept {
    const std::uint32_t iteration = loop_.iteration();
    if (iteration_ != iteration) before_ = std::exchange(now_, 0);
    iteration_ = iteration;
    const bool together = ++now_ > 1 || before_ > 1;
    if (pause_ == 0) return together;
    pause_--;
    return false;
}

Coro<> SmallFileReaders::shut_down() { co_return; }

SmallFileAwaiter::SmallFileAwaiter(const char* path) noexcept
    : operation_(kernel::Opcode::small_file, &on_completion), loop_(get_running_loop()) {
    operation_.owner = this;
    operation_.path = path;
}

SmallFileAwaiter::~SmallFileAwaiter() {
    if (!operation_.idle()) [[unlikely]]
        loop_.kernel().reclaim(operation_);
}

bool SmallFileAwaiter::submit(coro::Driver& driver) noexcept {
    if (!loop_.kernel().submit(operation_)) return false;
    driver_ = &driver;
    driver.suspend_in(*this);
    return true;
}

void SmallFileAwaiter::on_completion(kernel::Operation& operation,
                                     const kernel::Completion& completion) {
    auto& self = *static_cast<SmallFileAwaiter*>(operation.owner);
    self.ended_ = true;
    if (completion.result >= 0) {
        self.data_ = completion.data;
        self.result_.fd = os::Fd(static_cast<const kernel::SmallFile&>(completion).fd);
        self.result_.all = !self.result_.fd;
    } else if (completion.result != -EAGAIN && completion.result != -ECANCELED) {
        self.result_.error = -completion.result;
    }
    self.driver_->wake();
}

bool SmallFileAwaiter::cancel(const std::string& message) noexcept {
    if (ended_ || operation_.state != kernel::Operation::State::submitted) return false;
    driver_->deliver_cancel(message);
    loop_.kernel().cancel(operation_);
    return true;
}

/// The memory is given back by the destructor.
SmallFileAwaiter::Result SmallFileAwaiter::await_resume() {
    if (driver_ != nullptr) driver_->throw_if_cancelled();
    result_.data.assign(reinterpret_cast<const char*>(data_.data()), data_.size());
    return std::move(result_);
}

}  // namespace asyncio::file
