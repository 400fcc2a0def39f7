// SPDX-License-Identifier: MIT
#include <asyncio/loop/inbox.hpp>
#include <asyncio/thread/wrap_future.hpp>

#include <atomic>
#include <memory>

namespace asyncio::thread {

struct Bridge {
    Bridge(EventLoop& loop, WrapCore& core) : inbox(loop.inbox()), wrap(&core) {}

    /// In whatever thread completed the concurrent future.
    static void notify(Shared<Bridge> bridge) {
        if (!bridge->wanted.load(std::memory_order_acquire)) return;
        // Once posted, the bridge is the loop's thread's, which may drop it before we are back.
        const Shared<loop::Inbox> inbox = bridge->inbox;
        loop::Inbox::Place& place = bridge->place;
        inbox->try_post(
            [bridge = std::move(bridge)] {
                if (bridge->wrap != nullptr) bridge->wrap->arrived();
            },
            place);
    }

    const Shared<loop::Inbox> inbox;
    loop::Inbox::Place place;
    std::atomic<bool> wanted{true};  // spares the loop a wake-up for nothing
    WrapCore* wrap;                  // the loop's thread; null once it stopped waiting
};

void WrapCore::start() {
    bridge_ = Shared<Bridge>::make(*core().loop, *this);
    add_ref();  // its own, while it waits
    core().loop->members().push_back(*this);
    source().add_done_callback([bridge = bridge_] { Bridge::notify(bridge); });
}

void WrapCore::stop_waiting() noexcept {
    const Shared<Bridge> bridge = std::move(bridge_);
    bridge->wrap = nullptr;
    bridge->wanted.store(false, std::memory_order_release);
    Member::unlink();
    (void)drop_ref();  // the caller holds another
}

void WrapCore::arrived() noexcept {
    const Ref<WrapCore> keep(this);
    stop_waiting();
    if (done()) return;  // through its handle
    std::exception_ptr error;
    try {
        error = take_outcome();
    } catch (...) {
        error = std::current_exception();
    }
    if (!error)
        complete_with_result();
    else if (is_cancelled_error(error))
        complete_cancelled(std::move(error));
    else
        complete_with_error(std::move(error));
}

bool WrapCore::cancel(const std::string& message) {
    if (done()) return FutureCore::cancel(message);
    const Ref<WrapCore> keep(this);
    stop_waiting();
    source().cancel();
    return FutureCore::cancel(message);
}

void WrapCore::loop_closed() noexcept {
    const Ref<WrapCore> keep(this);
    stop_waiting();
    abandon_waiters();
}

}  // namespace asyncio::thread
