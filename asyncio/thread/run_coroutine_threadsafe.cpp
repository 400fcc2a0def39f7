// SPDX-License-Identifier: MIT
#include <asyncio/loop/inbox.hpp>
#include <asyncio/thread/run_coroutine_threadsafe.hpp>

#include <memory>

namespace asyncio::thread {

struct Link {
    Link(Shared<loop::Inbox> where, task::FutureCore& what)
        : inbox(std::move(where)), future(&what) {}

    const Shared<loop::Inbox> inbox;
    loop::Inbox::Place place;
    task::FutureCore* future;  // the loop's thread; null when it is done
};

Tie::Tie(task::FutureCore& future, Shared<ConcurrentCore> state)
    : link_(Shared<Link>::make(future.loop().inbox(), future)), state_(std::move(state)) {
    ConcurrentCore& core = *state_;
    core.add_done_callback([link = link_, &core] {
        if (core.state() != ConcurrentCore::State::cancelled) return;
        const Shared<loop::Inbox> inbox = link->inbox;
        inbox->try_post(
            [link] {
                if (link->future != nullptr) link->future->cancel({});
            },
            link->place);
    });
}

Tie::~Tie() {
    if (!link_) return;
    link_->future = nullptr;
    state_->cancel();
}

}  // namespace asyncio::thread
