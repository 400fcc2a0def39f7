// SPDX-License-Identifier: MIT
//
// Conservation: many tasks do random things with locks, semaphores, conditions and queues while one
// operation in ten is cancelled, in whatever state it happens to be. Nothing may be lost:
//
//   in = out + left, and items of one producer come in their order
//   acquires = releases, never more holders than permits, first come first served
//   no lost wake-up: whenever nothing moves any more, nobody waits for what is there
//
// ASYNCIO_TEST_SCALE  factor for the number of operations; 1 is ten million. Default 0.03.
// ASYNCIO_TEST_SEED   the first of the two seeds.
#include <asyncio/sync/condition.hpp>
#include <asyncio/sync/queue.hpp>
#include <asyncio/sync/semaphore.hpp>
#include <asyncio/sync/sync_fixture_test.hpp>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace sync_tests;

constexpr double kOperations = 1e7;
constexpr std::size_t kWorkers = 60;

double from_environment(const char* name, double otherwise) {
    const char* value = std::getenv(name);
    return value != nullptr ? std::atof(value) : otherwise;
}

/// Who waits for something that is given out first come, first served.
class Line {
  public:
    std::uint64_t join() {
        waiting_.insert(++last_);
        return last_;
    }
    void leave(std::uint64_t ticket) { waiting_.erase(ticket); }
    void serve(std::uint64_t ticket) {
        EXPECT_EQ(*waiting_.begin(), ticket) << "out of order";
        leave(ticket);
    }

  private:
    std::set<std::uint64_t> waiting_;
    std::uint64_t last_ = 0;
};

struct Item {
    std::size_t producer;
    std::uint64_t number;
    friend bool operator<(const Item& a, const Item& b) { return a.number < b.number; }
};

/// A queue with its books.
template <class Q>
struct Audited {
    explicit Audited(int maxsize, bool fifo) : queue(maxsize), in_order(fifo) {}

    void got(const Item& item) {
        ++out;
        if (!in_order) return;
        EXPECT_GT(item.number, last[item.producer]);
        last[item.producer] = item.number;
    }
    void check() const {
        EXPECT_EQ(in, out + queue.qsize());
        const std::string state = queue.description();
        const auto says = [&](const char* word) { return state.find(word) != std::string::npos; };
        if (!queue.empty()) {
            EXPECT_FALSE(says("getters")) << "lost wake-up: " << state;
        }
        if (!queue.full()) {
            EXPECT_FALSE(says("putters")) << "lost wake-up: " << state;
        }
    }

    Q queue;
    const bool in_order;
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    std::vector<std::uint64_t> last = std::vector<std::uint64_t>(kWorkers + 1);
};

class Storm {
  public:
    Storm(std::uint64_t seed, std::uint64_t operations) : random_(seed), left_(operations) {}

    Coro<> run() {
        for (std::size_t i = 0; i < kWorkers; ++i) {
            workers_.emplace_back();
            workers_[i].task = create_task(work(i));
        }
        while (left_ > 0) {
            co_await sleep(1s);  // of virtual time: passes only when nothing moves
            check_at_rest();
            stir();
        }
        for (Worker& worker : workers_) worker.task.cancel("the end");
        co_await sleep(1s);
        for (Worker& worker : workers_) EXPECT_TRUE(worker.task.done());
        check_at_rest();
        EXPECT_FALSE(lock_.locked());
        EXPECT_EQ(semaphore_.description(), "<Semaphore unlocked, value: 3>");
        EXPECT_EQ(acquired_, released_);
        EXPECT_GT(cancelled_, 0u);
    }

    std::uint64_t cancelled() const noexcept { return cancelled_; }

  private:
    struct Worker {
        Task<> task;
        Line* line = nullptr;  // where it waits
        std::uint64_t ticket = 0;
        std::uint64_t numbers = 0;
    };

    std::uint64_t below(std::uint64_t n) { return random_() % n; }

    Coro<> work(std::size_t me) {
        while (left_ > 0) {
            --left_;
            if (below(10) == 0) cancel(below(kWorkers));
            try {
                co_await operate(me);
            } catch (const CancelledError&) {
                ++cancelled_;
            }
        }
    }

    void cancel(std::size_t victim) {
        Worker& worker = workers_[victim];
        if (worker.task.done()) return;
        if (worker.line != nullptr) worker.line->leave(worker.ticket);
        worker.line = nullptr;
        worker.task.cancel();
    }

    ASYNCIO_CORO_WRAPPER Coro<> operate(std::size_t me) {
        switch (below(8)) {
            case 0:
                return hold(me, lock_, lock_line_, lock_holders_, 1);
            case 1:
                return hold(me, semaphore_, semaphore_line_, semaphore_holders_, 3);
            case 2:
                return give_token();
            case 3:
                return take_token();
            case 4:
                return use(me, narrow_);
            case 5:
                return use(me, wide_);
            case 6:
                return use(me, smallest_);
            default:
                return use(me, newest_);
        }
    }

    template <class P>
    Coro<> hold(std::size_t me, P& primitive, Line& line, int& holders, int most) {
        Worker& worker = workers_[me];
        if (!worker.task.task().cancel_due()) {  // otherwise it leaves as soon as it has to wait
            worker.line = &line;
            worker.ticket = line.join();
        }
        const auto held = co_await primitive.scoped();
        if (worker.line != nullptr) line.serve(worker.ticket);
        worker.line = nullptr;
        ++acquired_;
        EXPECT_LE(++holders, most);
        const Leaving leaving{*this, holders};
        for (std::uint64_t i = below(3); i > 0; --i) co_await sleep(0s);
    }
    struct Leaving {
        Storm& storm;
        int& holders;
        ~Leaving() {
            --holders;
            ++storm.released_;
        }
    };

    Coro<> give_token() {
        const auto held = co_await condition_.scoped();
        ++tokens_;
        condition_.notify();
    }
    Coro<> take_token() {
        const auto held = co_await condition_.scoped();
        try {
            co_await condition_.wait_for([this] { return tokens_ > 0; });
        } catch (const CancelledError&) {
            EXPECT_TRUE(condition_.locked());
            throw;
        }
        EXPECT_TRUE(condition_.locked());
        --tokens_;
    }

    template <class Q>
    Coro<> use(std::size_t me, Audited<Q>& audited) {
        switch (below(5)) {
            case 0:
                if (!audited.queue.full()) {
                    audited.queue.put_nowait(Item{me, ++workers_[me].numbers});
                    ++audited.in;
                }
                break;
            case 1:
                if (!audited.queue.empty()) audited.got(audited.queue.get_nowait());
                break;
            case 2:
            case 3: {
                // The number is the worker's: it does one thing at a time.
                co_await audited.queue.put(Item{me, ++workers_[me].numbers});
                ++audited.in;
                break;
            }
            default: {
                const Item item = co_await audited.queue.get();
                audited.got(item);
            }
        }
    }

    void check_at_rest() {
        narrow_.check();
        wide_.check();
        smallest_.check();
        newest_.check();
        EXPECT_FALSE(lock_.locked());
        EXPECT_EQ(lock_.description(), "<Lock unlocked>");
        EXPECT_EQ(semaphore_.description(), "<Semaphore unlocked, value: 3>");
        if (tokens_ > 0) {
            EXPECT_EQ(condition_.description(), "<Condition unlocked>");
        }
        EXPECT_EQ(lock_holders_ + semaphore_holders_, 0);
    }

    /// Nothing moves: let some go on.
    void stir() {
        if (left_ == 0) return;
        for (int i = 0; i < 5; ++i) cancel(below(kWorkers));
        if (!narrow_.queue.full()) {
            narrow_.queue.put_nowait(Item{kWorkers, ++numbers_});
            ++narrow_.in;
        }
        if (!smallest_.queue.empty()) smallest_.got(smallest_.queue.get_nowait());
    }

    std::mt19937_64 random_;
    std::uint64_t left_;
    std::vector<Worker> workers_;

    Lock lock_;
    Line lock_line_;
    int lock_holders_ = 0;
    Semaphore semaphore_{3};
    Line semaphore_line_;
    int semaphore_holders_ = 0;
    Condition condition_;
    std::uint64_t tokens_ = 0;
    Audited<Queue<Item>> narrow_{1, true};
    Audited<Queue<Item>> wide_{16, true};
    Audited<PriorityQueue<Item>> smallest_{4, false};
    Audited<LifoQueue<Item>> newest_{4, false};

    std::uint64_t acquired_ = 0;
    std::uint64_t released_ = 0;
    std::uint64_t cancelled_ = 0;
    std::uint64_t numbers_ = 0;
};

TEST(Conservation, nothing_is_lost_in_a_storm_of_cancellations) {
    const double scale = from_environment("ASYNCIO_TEST_SCALE", 0.03);
    const auto operations = static_cast<std::uint64_t>(kOperations * scale / 2);
    const auto first = static_cast<std::uint64_t>(from_environment("ASYNCIO_TEST_SEED", 1));
    std::uint64_t cancelled = 0;
    for (const std::uint64_t seed : {first, first + 1}) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Storm storm(seed, operations);
        testing::run(storm.run());
        EXPECT_GT(storm.cancelled(), operations / 20);
        cancelled += storm.cancelled();
        if (HasFailure()) return;
    }
    RecordProperty("figure", std::to_string(2 * operations) + " operations, " +
                                 std::to_string(cancelled) + " cancelled, seeds " +
                                 std::to_string(first) + " and " + std::to_string(first + 1) +
                                 ", 0 lost (limit 0)");
}

}  // namespace
}  // namespace asyncio
