// SPDX-License-Identifier: MIT
#include <asyncio/loop/inbox.hpp>
#include <asyncio/thread/run_coroutine_threadsafe.hpp>

namespace asyncio::thread {

struct Link {
    Link(std::shared_ptr<loop::Inbox> where, task::FutureCore& what)
        : inbox(std::move(where)), future(&what) {}

    const std::shared_ptr<loop::Inbox> inbox;
    loop::Inbox::Place place;
    task::FutureCore* future;  // the loop's thread; null when it is done
};

Tie::Tie(task::FutureCore& future, std::shared_ptr<ConcurrentCore> state)
    : link_(std::make_shared<Link>(future.loop().inbox(), future)), state_(std::move(state)) {
    ConcurrentCore& core = *state_;
    core.add_done_callback([link = link_, &core] {
        if (core.state() != ConcurrentCore::State::cancelled) return;
        const std::shared_ptr<loop::Inbox> inbox = link->inbox;
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
