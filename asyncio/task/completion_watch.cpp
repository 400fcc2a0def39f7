// SPDX-License-Identifier: MIT
#include <asyncio/task/completion_watch.hpp>

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace asyncio::task {

class CompletionWatch::Node final : public Runnable, public DoneWaiter {
  public:
    Node() noexcept : Runnable(&take_turn), DoneWaiter(static_cast<Runnable&>(*this)) {}

    void scheduled(FutureCore&) noexcept override { watch->add_ref(); }  // the ready queue's
    FutureCore* awaiter() const noexcept override { return watch->awaiter_; }

    CompletionWatch* watch = nullptr;
    std::size_t index = 0;
    Ref<FutureCore> future;

  private:
    static void take_turn(Runnable& runnable, Turn turn) {
        auto& self = static_cast<Node&>(runnable);
        const Ref<CompletionWatch> keep(self.watch);
        (void)keep->drop_ref();  // the ready queue's
        if (turn == Turn::run) keep->future_done(self.index);
    }
};

CompletionWatch::CompletionWatch(std::span<const Ref<FutureCore>> futures, ReturnWhen wakes)
    : nodes_(new Node[futures.size()]), size_(futures.size()), wakes_(wakes) {
    finished_.reserve(size_);
    for (std::size_t i = 0; i < size_; ++i) {
        nodes_[i].watch = this;
        nodes_[i].index = i;
        nodes_[i].future = futures[i];
    }
}

CompletionWatch::~CompletionWatch() { stop(); }

Ref<CompletionWatch> CompletionWatch::start(EventLoop& loop,
                                            std::span<const Ref<FutureCore>> futures,
                                            ReturnWhen wakes, Option<Duration> timeout) {
    for (const Ref<FutureCore>& future : futures)
        if (&future->core() != &loop.core())
            throw std::invalid_argument("one of the futures belongs to a different loop");
    Ref<CompletionWatch> watch(new CompletionWatch(futures, wakes));
    if (timeout && !futures.empty())
        watch->timer_ = loop.call_later(*timeout, [w = watch.get()] { w->time_is_up(); });
    for (std::size_t i = 0; i < watch->size_; ++i) {
        Node& node = watch->nodes_[i];
        if (!node.future->done()) {
            node.future->add_waiter(node);
        } else {
            loop.core().ready.push(node);
            node.scheduled(*node.future);
        }
    }
    return watch;
}

void CompletionWatch::make_distinct(std::vector<Ref<FutureCore>>& futures) {
    std::vector<FutureCore*> sorted;
    sorted.reserve(futures.size());
    for (const auto& future : futures) sorted.push_back(future.get());
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end()) return;
    std::vector<char> seen(sorted.size());
    std::erase_if(futures, [&](const Ref<FutureCore>& future) {
        const auto at = std::lower_bound(sorted.begin(), sorted.end(), future.get());
        char& mark = seen[static_cast<std::size_t>(at - sorted.begin())];
        return std::exchange(mark, true) != 0;
    });
}

void CompletionWatch::future_done(std::size_t index) {
    if (stopped_) return;
    finished_.push_back(index);
    bool wake = wakes_ == FIRST_COMPLETED || finished_.size() == size_;
    if (wakes_ == FIRST_EXCEPTION && nodes_[index].future->state() == FutureCore::State::error)
        wake = true;
    if (finished_.size() == size_) timer_.cancel();
    if (wake) changed_.wake_all();
}

void CompletionWatch::time_is_up() noexcept {
    timed_out_ = true;
    stop();
    changed_.wake_all();
}

void CompletionWatch::stop() noexcept {
    if (std::exchange(stopped_, true)) return;
    timer_.cancel();
    for (std::size_t i = 0; i < size_; ++i) nodes_[i].DoneWaiter::unlink();
}

}  // namespace asyncio::task
