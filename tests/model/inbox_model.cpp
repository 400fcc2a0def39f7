// SPDX-License-Identifier: MIT
//
// A loop and the threads that post to it: loop/inbox.hpp, kernel/wake_channel.hpp.
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/inbox.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "model.hpp"

using namespace asyncio;

namespace {

MODEL(a_post_wakes_a_sleeping_loop) {
    EventLoop loop;
    bool ran = false;
    std::thread poster([&] {
        loop.call_soon_threadsafe([&] {
            ran = true;
            loop.stop();
        });
    });
    loop.run_forever();
    MODEL_CHECK(ran);
    poster.join();
    loop.close();
}

MODEL(posts_of_a_thread_keep_their_order) {
    EventLoop loop;
    int ran = 0;
    std::thread poster([&] {
        loop.call_soon_threadsafe([&] { MODEL_CHECK(ran++ == 0); });
        loop.call_soon_threadsafe([&] { MODEL_CHECK(ran++ == 1); });
        loop.call_soon_threadsafe([&] {
            MODEL_CHECK(ran++ == 2);
            loop.stop();
        });
    });
    loop.run_forever();
    MODEL_CHECK(ran == 3);
    poster.join();
    loop.close();
}

MODEL(two_threads_post) {
    EventLoop loop;
    int ran = 0;
    const auto post = [&] {
        loop.call_soon_threadsafe([&] {
            if (++ran == 2) loop.stop();
        });
    };
    std::thread one(post);
    std::thread two(post);
    loop.run_forever();
    MODEL_CHECK(ran == 2);
    one.join();
    two.join();
    loop.close();
}

MODEL(a_loop_posts_to_itself_behind_others) {
    EventLoop loop;
    int ran = 0;
    const auto count = [&] {
        if (++ran == 2) loop.stop();
    };
    std::thread poster([&] { loop.call_soon_threadsafe(count); });
    loop.call_soon([&] { loop.call_soon_threadsafe(count); });
    loop.run_forever();
    MODEL_CHECK(ran == 2);
    poster.join();
    loop.close();
}

/// Counts what became of a posted function.
struct Fate {
    int ran = 0;
    int dropped = 0;
};
class Errand {
  public:
    explicit Errand(Fate& fate) : fate_(&fate) {}
    Errand(Errand&& other) noexcept : fate_(std::exchange(other.fate_, nullptr)) {}
    ~Errand() {
        if (fate_ != nullptr) ++fate_->dropped;
    }
    void operator()() { ++std::exchange(fate_, nullptr)->ran; }

  private:
    Fate* fate_;
};

MODEL(a_post_meets_the_end_of_its_loop) {
    Fate fate;
    bool refused = false;
    auto loop = std::make_unique<EventLoop>();
    std::thread poster([&, inbox = loop->inbox()] { refused = !inbox->try_post(Errand(fate)); });
    loop->call_soon([&] { loop->stop(); });
    loop->run_forever();
    loop->close();
    loop = nullptr;
    poster.join();
    MODEL_CHECK(fate.ran + fate.dropped == 1);
    MODEL_CHECK(!refused || fate.dropped == 1);
}

MODEL(a_sleeping_loop_is_stopped_and_closed_at_once) {
    auto loop = std::make_unique<EventLoop>();
    std::thread poster([&, inbox = loop->inbox()] { inbox->try_post([&] { loop->stop(); }); });
    loop->run_forever();
    loop->close();
    loop = nullptr;
    poster.join();
}

MODEL(a_post_is_cancelled) {
    EventLoop loop;
    std::atomic<bool> running{false};
    bool ran = false;
    std::thread poster([&] {
        ThreadsafeHandle handle = loop.call_soon_threadsafe([&] {
            running = true;
            ran = true;
            running = false;
        });
        handle.cancel();
        // Either it never runs, or it has come to its end.
        MODEL_CHECK(!running);
        const bool cancelled = handle.cancelled();
        const bool over = ran;
        MODEL_CHECK(cancelled != over);
        loop.call_soon_threadsafe([&, over] {
            MODEL_CHECK(ran == over);
            loop.stop();
        });
    });
    loop.run_forever();
    poster.join();
    loop.close();
}

MODEL(a_post_is_cancelled_by_two) {
    EventLoop loop;
    Fate fate;
    ThreadsafeHandle handle = loop.call_soon_threadsafe(Errand(fate));
    ThreadsafeHandle copy = handle;
    std::thread other([&] { copy.cancel(); });
    handle.cancel();
    other.join();
    MODEL_CHECK(fate.dropped == 1);
    loop.close();
}

MODEL(a_running_post_is_waited_for) {
    EventLoop loop;
    int steps = 0;
    std::optional<ThreadsafeHandle> handle;
    handle = loop.call_soon_threadsafe([&] {
        ++steps;
        ++steps;
    });
    loop.call_soon_threadsafe([&] { loop.stop(); });
    std::thread other([&] {
        handle->cancel();
        MODEL_CHECK(steps == (handle->cancelled() ? 0 : 2));
    });
    loop.run_forever();
    other.join();
    loop.close();
}

}  // namespace
