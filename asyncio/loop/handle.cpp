// SPDX-License-Identifier: MIT
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/handle.hpp>
#include <asyncio/loop/slow_report.hpp>

namespace asyncio::loop {

void CallbackNode::cancel() noexcept {
    if (cancelled_) return;
    cancelled_ = true;
    if (running_) return;  // run_callback() releases it
    drop_callable();
    if (timer_ != nullptr && timer_->armed()) {
        loop_->timers().cancel(*timer_);
        if (drop_ref()) destroy();  // the timer queue's; the caller's handle holds another
    }
}

void CallbackNode::drop_callable() noexcept {
    if (!has_callable_) return;
    has_callable_ = false;
    ops_->drop_callable(*this);
}

void CallbackNode::take_turn(Runnable& runnable, Turn turn) {
    auto& self = static_cast<CallbackNode&>(runnable);
    const Handle keep{Ref<CallbackNode>(&self)};
    (void)self.drop_ref();  // the queue's; `keep` is the last line of defence
    struct Over {           // also when a fatal exception passes
        ~Over() { node.drop_callable(); }
        CallbackNode& node;
    } over{self};
    if (turn == Turn::run && !self.cancelled_) self.run_callback();
}

void CallbackNode::run_callback() {
    struct Running {
        explicit Running(bool& flag) noexcept : running(flag) { running = true; }
        ~Running() { running = false; }
        bool& running;
    } running(running_);
    const ContextScope scope(context_);
    const SlowReport report(*loop_, "callback");
    try {
        ops_->call(*this);
    } catch (...) {
        loop_->callback_failed("Exception in callback", Handle{Ref<CallbackNode>(this)});
    }
}

}  // namespace asyncio::loop
