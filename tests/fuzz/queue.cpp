// SPDX-License-Identifier: MIT
//
// Queue, LifoQueue and PriorityQueue: a script of puts and gets, waiting and not, cancelled in any
// state, of joins and of a shutdown. In the end in = out + left + dropped; puts enter and gets
// leave in the order in which they began; nobody waits for what is there.
//
// covers: sync/queue.hpp sync/queue_core.hpp sync/queue_core.cpp sync/item_store.hpp
//     sync/wait_queue.hpp sync/wait_queue.cpp
#include <asyncio/sync/queue.hpp>
#include <asyncio/task/sleep.hpp>

#include <optional>
#include <set>
#include <vector>

#include "abandoned.hpp"
#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;

struct Item {
    size_t priority;
    size_t number;
    friend bool operator<(const Item& a, const Item& b) { return a.priority < b.priority; }
};

/// Who takes part, in the order in which they began.
enum class Role : std::uint8_t { put, get, join };
struct Participant {
    Role role;
    Task<> task;
    bool cancelled = false;
    bool over = false;
};

auto turn() { return sleep(Duration::zero()); }

template <class Q>
class Script {
  public:
    Script(Input& input, bool fifo) : input_(input), queue_(max_size(input)), fifo_(fifo) {}

    Coro<> run() {
        while (!input_.empty() && participants_.size() < 200) {
            step();
            for (size_t turns = input_.below(4); turns > 0; --turns) co_await turn();
            check_counts();
        }
        co_await settle();
        check_at_rest();
        for (Participant& one : participants_) cancel(one);
        co_await settle();
        for (const Participant& one : participants_) FUZZ_CHECK(one.task.done());
        check_counts();
    }

  private:
    static std::ptrdiff_t max_size(Input& input) {
        return static_cast<std::ptrdiff_t>(input.below(4));
    }
    Coro<> settle() {
        for (int i = 0; i < 250; ++i) co_await turn();
    }

    void step() {
        switch (input_.below(10)) {
            case 0:
            case 1:
                start(Role::put, put(next_item(), participants_.size()));
                break;
            case 2:
            case 3:
                start(Role::get, get(participants_.size()));
                break;
            case 4:
                put_now();
                break;
            case 5:
                get_now();
                break;
            case 6:
            case 7:
                if (!participants_.empty())
                    cancel(participants_[input_.below(participants_.size())]);
                break;
            case 8:
                finish_one();
                break;
            default:
                if (input_.below(8) == 7)
                    shut_down(input_.chance());
                else
                    start(Role::join, join(participants_.size()));
        }
    }

    void start(Role role, Coro<> work) {
        participants_.push_back({.role = role, .task = create_task(std::move(work))});
    }
    void cancel(Participant& one) {
        if (one.task.done()) return;
        one.cancelled = true;
        one.task.cancel();
    }
    Item next_item() { return {.priority = input_.below(4), .number = ++numbers_}; }

    // --- what a participant does, and sees ---------------------------------------------------

    Coro<> put(Item item, size_t me) {
        try {
            co_await queue_.put(item);
            entered(item);
        } catch (const QueueShutDown&) {
            FUZZ_CHECK(shut_down_);
        }
        participants_[me].over = true;
    }
    Coro<> get(size_t me) {
        try {
            const Item item = co_await queue_.get();
            left(item);
        } catch (const QueueShutDown&) {
            FUZZ_CHECK(shut_down_ && inside_.empty());
        }
        participants_[me].over = true;
    }
    Coro<> join(size_t me) {
        co_await queue_.join();
        // It was woken when all was done; more may have come since.
        participants_[me].over = true;
        ++joined_;
        FUZZ_CHECK(unfinished_ == 0 || all_done_once_);
    }

    void put_now() {
        const Item item = next_item();
        try {
            queue_.put_nowait(item);
            entered(item);
        } catch (const QueueFull&) {
            FUZZ_CHECK(!shut_down_ && queue_.full());
        } catch (const QueueShutDown&) {
            FUZZ_CHECK(shut_down_);
        }
    }
    void get_now() {
        try {
            left(queue_.get_nowait());
        } catch (const QueueEmpty&) {
            FUZZ_CHECK(!shut_down_ && inside_.empty());
        } catch (const QueueShutDown&) {
            FUZZ_CHECK(shut_down_ && inside_.empty());
        }
    }
    void finish_one() {
        try {
            queue_.task_done();
            FUZZ_CHECK(unfinished_ > 0);
            finished(1);
        } catch (const std::invalid_argument&) {
            FUZZ_CHECK(unfinished_ == 0);
        }
    }
    void shut_down(bool immediate) {
        queue_.shutdown(immediate);
        shut_down_ = true;
        if (!immediate) return;
        const size_t dropped = inside_.size();
        inside_.clear();
        finished(std::min(dropped, unfinished_));
    }

    // --- the books -----------------------------------------------------------------------------

    void entered(const Item& item) {
        FUZZ_CHECK(!shut_down_);
        inside_.push_back(item);
        ++unfinished_;
    }
    void left(const Item& item) {
        FUZZ_CHECK(!inside_.empty());
        const auto found = std::find_if(inside_.begin(), inside_.end(),
                                        [&](const Item& one) { return one.number == item.number; });
        FUZZ_CHECK(found != inside_.end());
        if (fifo_) FUZZ_CHECK(found == inside_.begin());
        if constexpr (std::is_same_v<Q, LifoQueue<Item>>) FUZZ_CHECK(found + 1 == inside_.end());
        if constexpr (std::is_same_v<Q, PriorityQueue<Item>>)
            for (auto one = inside_.begin(); one != inside_.end(); ++one)
                FUZZ_CHECK(item.priority < one->priority ||
                           (item.priority == one->priority && found <= one));
        inside_.erase(found);
    }
    void finished(size_t count) {
        unfinished_ -= count;
        if (unfinished_ == 0) all_done_once_ = true;
    }

    void check_counts() const {
        FUZZ_CHECK(queue_.qsize() == inside_.size());
        FUZZ_CHECK(queue_.empty() == inside_.empty());
        if (queue_.maxsize() > 0)
            FUZZ_CHECK(inside_.size() <= static_cast<size_t>(queue_.maxsize()));
    }
    /// Nothing moves any more.
    void check_at_rest() {
        check_counts();
        for (const Participant& one : participants_) {
            if (one.task.done()) continue;
            FUZZ_CHECK(!shut_down_ || one.role == Role::join);
            if (one.role == Role::get) FUZZ_CHECK(queue_.empty());
            if (one.role == Role::put) FUZZ_CHECK(queue_.full());
            if (one.role == Role::join) FUZZ_CHECK(unfinished_ > 0);
        }
    }

    Input& input_;
    Q queue_;
    const bool fifo_;
    std::vector<Item> inside_;
    size_t unfinished_ = 0;
    size_t numbers_ = 0;
    size_t joined_ = 0;
    bool shut_down_ = false;
    bool all_done_once_ = false;
    std::vector<Participant> participants_;
};

template <class Q>
Coro<> play(Input& input, bool fifo) {
    Script<Q> script(input, fifo);
    co_await script.run();
}

/// A queue that goes, or whose loop is closed, while tasks wait for it.
class Abandoned {
  public:
    explicit Abandoned(Input& input) : input_(input) {}

    void run() { all_.run(begin()); }

  private:
    Coro<> begin() {
        for (int i = 0; i < 6; ++i) tasks_.push_back(create_task(live(input_.below(3))));
        co_await sleep(Duration::zero());
        FUZZ_CHECK(queue_->description().starts_with("<Queue maxsize=1 items="));
        if (input_.chance() && queue_->empty()) queue_->put_nowait(1);
        if (input_.chance() && !queue_->empty()) (void)queue_->get_nowait();
        if (input_.chance()) co_return;
        queue_.reset();
        if (input_.chance()) co_await sleep(Duration::zero());
    }
    Coro<> live(size_t role) {
        const AbandonedTasks::Life life(all_);
        try {
            if (role == 0) co_await queue_->put(2);
            if (role == 1) (void)co_await queue_->get();
            if (role == 2) co_await queue_->join();
        } catch (const std::logic_error&) {  // it was destroyed
            FUZZ_CHECK(!queue_);
        }
    }

    Input& input_;
    std::optional<Queue<int>> queue_{std::in_place, 1};
    std::vector<Task<>> tasks_;
    AbandonedTasks all_;
};

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(queue) {
    using namespace asyncio::fuzz;
    Input again = input;
    Abandoned(again).run();
    switch (input.below(3)) {
        case 0:
            return run(play<asyncio::Queue<Item>>(input, true));
        case 1:
            return run(play<asyncio::LifoQueue<Item>>(input, false));
        default:
            return run(play<asyncio::PriorityQueue<Item>>(input, false));
    }
}
