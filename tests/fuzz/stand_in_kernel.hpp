// SPDX-License-Identifier: MIT
//
// A kernel whose operations lie in a list, under the rules of kernel/kernel.hpp: which of them may
// begin, and which completes how in a wait(), says who derives from it.
#pragma once

#include <asyncio/kernel/kernel.hpp>

#include <span>
#include <string_view>
#include <vector>

#include "fuzz.hpp"

namespace asyncio::fuzz {

class StandInKernel : public StillKernel {
  public:
    void cancel(kernel::Operation& operation) noexcept override {
        if (operation.state == State::submitted) operation.state = State::cancelling;
    }
    void reclaim(kernel::Operation& operation) noexcept override {
        if (!operation.idle()) end(operation);
    }
    bool may_have_events() const noexcept override { return !operations_.empty(); }
    std::size_t in_flight() const noexcept override { return operations_.size(); }

  protected:
    using State = kernel::Operation::State;

    void begin(kernel::Operation& operation) {
        operation.state = State::submitted;
        operations_.push_back(&operation);
    }
    virtual void end(kernel::Operation& operation) noexcept {
        operation.state = State::idle;
        std::erase(operations_, &operation);
    }
    void finish(kernel::Operation& operation, int result) {
        end(operation);
        operation.callback(operation, kernel::Completion{.result = result});
    }
    /// What a multishot receive brings.
    static void deliver(kernel::Operation& operation, std::string_view data) {
        operation.callback(operation, kernel::Completion{.result = static_cast<int>(data.size()),
                                                         .more = true,
                                                         .data = std::as_bytes(std::span(data))});
    }

    std::vector<kernel::Operation*> operations_;
};

}  // namespace asyncio::fuzz
