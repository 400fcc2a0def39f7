// SPDX-License-Identifier: MIT
#include <asyncio/task/gather_core.hpp>

#include <stdexcept>
#include <vector>

namespace asyncio::task {

class GatherCore::Child final : public Runnable, public DoneWaiter {
  public:
    Child() noexcept : Runnable(&take_turn), DoneWaiter(static_cast<Runnable&>(*this)) {}

    FutureCore* awaiter() const noexcept override { return gather; }

    GatherCore* gather = nullptr;
    Ref<FutureCore> future;

  private:
    static void take_turn(Runnable& runnable, Turn turn) {
        auto& self = static_cast<Child&>(runnable);
        if (turn == Turn::run) self.gather->child_done(*self.future);
    }
};

GatherCore::GatherCore(loop::Core& core) noexcept : FutureCore(core) {}

GatherCore::~GatherCore() = default;

FutureCore& GatherCore::child(std::size_t index) const noexcept { return *children_[index].future; }

void GatherCore::start(std::span<Ref<FutureCore>> children, bool return_exceptions) {
    return_exceptions_ = return_exceptions;
    for (const Ref<FutureCore>& future : children)
        if (&future->core() != &core())
            throw std::invalid_argument(
                "The future belongs to a different loop than the one specified as the loop "
                "argument");
    if (children.empty()) {
        complete_all();
        return;
    }
    std::vector<FutureCore*> already_done;  // these count at once
    already_done.reserve(children.size());
    children_.reset(new Child[children.size()]);
    size_ = children.size();  // nothing is thrown from here on
    for (std::size_t i = 0; i < size_; ++i) {
        Child& child = children_[i];
        child.gather = this;
        child.future = std::move(children[i]);
        if (child.future->done())
            already_done.push_back(child.future.get());
        else
            child.future->add_waiter(child);
    }
    add_ref();  // its own, until every child has ended
    loop().members().push_back(*this);
    const Ref<FutureCore> keep(this);
    for (FutureCore* future : already_done) child_done(*future);
}

void GatherCore::child_done(FutureCore& future) {
    const Ref<FutureCore> keep(this);
    ++finished_;
    future.mark_retrieved();
    if (!done()) {
        if (!return_exceptions_ && future.state() != State::result)
            complete_with_error(future.cancelled() ? future.cancelled_error() : future.exception());
        else if (finished_ == size_)
            complete_all();
    }
    if (finished_ == size_) release();
}

void GatherCore::complete_all() {
    if (cancel_requested_) {
        const FutureCore& last = child(size_ - 1);
        complete_with_error(last.cancelled() ? last.cancelled_error()
                                             : std::make_exception_ptr(CancelledError()));
        return;
    }
    try {
        collect();
        complete_with_result();
    } catch (...) {  // a result's copy constructor
        complete_with_error(std::current_exception());
    }
}

bool GatherCore::cancel(const std::string& message) {
    if (done()) return false;
    bool any = false;
    for (std::size_t i = 0; i < size_; ++i)
        if (child(i).cancel(message)) any = true;
    if (any) cancel_requested_ = true;
    return any;
}

void GatherCore::release() noexcept {
    loop::Member::unlink();
    if (drop_ref()) destroy();
}

void GatherCore::loop_closed() noexcept {
    for (std::size_t i = 0; i < size_; ++i) children_[i].DoneWaiter::unlink();
    abandon_waiters();
    if (drop_ref()) destroy();
}

}  // namespace asyncio::task
