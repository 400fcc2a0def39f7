// SPDX-License-Identifier: MIT
#include <asyncio/task/done_callback.hpp>

namespace asyncio::task {

namespace {

class DoneCallback final : public DoneWaiter {
  public:
    static void* operator new(std::size_t size) { return coro::FramePool::allocate(size); }
    static void operator delete(void* memory, std::size_t size) noexcept {
        coro::FramePool::deallocate(memory, size);
    }

    DoneCallback(Ref<loop::CallbackNode> callback, Ref<FutureCore>& argument, std::uint64_t n)
        : DoneWaiter(*callback), number(n), node_(std::move(callback)), argument_(argument) {}

    void scheduled(FutureCore& future) noexcept override {
        argument_ = Ref<FutureCore>(&future);
        node_->add_ref();  // the ready queue's
        delete this;
    }
    void abandoned() noexcept override {
        node_->cancel();
        delete this;
    }

    const std::uint64_t number;

  private:
    Ref<loop::CallbackNode> node_;
    Ref<FutureCore>& argument_;
};

thread_local constinit std::uint64_t next_number = 1;

}  // namespace

std::uint64_t register_done_callback(FutureCore& future, Ref<loop::CallbackNode> node,
                                     Ref<FutureCore>& argument) {
    const std::uint64_t number = next_number++;
    auto* waiter = new DoneCallback(std::move(node), argument, number);
    if (future.done()) {
        future.core().ready.push(waiter->target());
        waiter->scheduled(future);
    } else {
        future.add_waiter(*waiter);
    }
    return number;
}

std::size_t remove_done_callback(FutureCore& future, std::uint64_t number) noexcept {
    DoneCallback* found = nullptr;
    future.for_each_waiter([&](DoneWaiter& waiter) {
        auto* callback = dynamic_cast<DoneCallback*>(&waiter);
        if (callback != nullptr && callback->number == number) found = callback;
    });
    if (found == nullptr) return 0;
    found->unlink();
    found->abandoned();
    return 1;
}

}  // namespace asyncio::task
