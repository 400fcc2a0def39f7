// SPDX-License-Identifier: MIT
//
// GatherCore: the future behind gather(), without the results' types.
//
// Each child has a node that waits for its end and then runs through the ready queue, as a done
// callback does. The first failure completes the gather; the last child otherwise does. Until every
// child has ended the gather keeps itself alive, so that late failures count as retrieved.
//
// Cancelling asks every child to stop; the gather then completes when all have, and always with
// CancelledError (as its exception: it counts as failed, not as cancelled).
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/task/future_core.hpp>

#include <span>

namespace asyncio::task {

class GatherCore : public FutureCore, private loop::Member {
  public:
    bool cancel(const std::string& message) final;

    /// Watch the children. std::invalid_argument if one belongs to another loop.
    void start(std::span<Ref<FutureCore>> children, bool return_exceptions);

  protected:
    explicit GatherCore(loop::Core& core) noexcept;
    ~GatherCore() override;

    FutureCore& child(std::size_t index) const noexcept;
    std::size_t size() const noexcept { return size_; }

    /// Build the result of the children's, all done.
    virtual void collect() = 0;

  private:
    class Child;

    void child_done(FutureCore& future);
    void complete_all();
    void loop_closed() noexcept override;
    void release() noexcept;

    Owned<Child[]> children_;
    std::size_t size_ = 0;
    std::size_t finished_ = 0;
    bool return_exceptions_ = false;
    bool cancel_requested_ = false;
};

}  // namespace asyncio::task
