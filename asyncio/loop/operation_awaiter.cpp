// SPDX-License-Identifier: MIT
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/operation_awaiter.hpp>

#include <cassert>

namespace asyncio::loop {

void OperationAwaiter::dropped() noexcept {
    if (!operation_.idle()) loop_.kernel().reclaim(operation_);
}

bool OperationAwaiter::submit(coro::Driver& driver) noexcept {
    if (!loop_.kernel().submit(operation_)) {
        result_ = operation_.inline_result;
        return false;
    }
    driver_ = &driver;
    driver.suspend_in(*this);
    return true;
}

void OperationAwaiter::on_completion(kernel::Operation& operation,
                                     const kernel::Completion& completion) {
    auto& self = *static_cast<OperationAwaiter*>(operation.owner);
    assert(self.driver_ != nullptr && self.driver_->waiting_for() == &self);  // waiting, not woken
    self.result_ = completion.result;
    self.driver_->wake();
}

bool OperationAwaiter::cancel(const std::string& message) noexcept {
    if (operation_.state != kernel::Operation::State::submitted) return false;
    driver_->deliver_cancel(message);
    loop_.kernel().cancel(operation_);
    return true;
}

}  // namespace asyncio::loop
