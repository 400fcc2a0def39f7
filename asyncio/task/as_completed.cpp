// SPDX-License-Identifier: MIT
#include <asyncio/task/as_completed.hpp>

namespace asyncio::task {

CompletionOrder::CompletionOrder(EventLoop& loop, std::vector<Ref<FutureCore>> futures,
                                 Option<Duration> timeout)
    : futures_(std::move(futures)),
      watch_(CompletionWatch::start(loop, futures_, FIRST_COMPLETED, timeout)) {}

CompletionOrder::~CompletionOrder() { watch_->stop(); }

Coro<Ref<FutureCore>> CompletionOrder::next(Ref<CompletionOrder> self) {
    CompletionWatch& watch = *self->watch_;
    for (;;) {
        const auto& finished = watch.finished();
        if (self->taken_ < finished.size()) co_return self->futures_[finished[self->taken_++]];
        if (self->taken_ + self->missed_ == watch.size()) co_return Ref<FutureCore>();
        if (watch.timed_out()) {
            ++self->missed_;
            throw TimeoutError();
        }
        co_await NextWake(watch.changed());
    }
}

}  // namespace asyncio::task
