// SPDX-License-Identifier: MIT
//
// G7's operations of the room sync: what is waited for comes after a while, and whoever is
// cancelled leaves no lock held, no permit taken and no item lost.
#include <csignal>
#include <memory>
#include <optional>
#include <tests/proof/cancel/operation.hpp>

#include <unistd.h>

namespace asyncio::proof {
namespace {

constexpr Duration kSoon = 300us;

/// The primitive is free again: somebody else can have it at once.
template <class P>
CoroFunction<> can_be_had(std::shared_ptr<P> primitive) {
    return [primitive]() -> Coro<> {
        co_await wait_for(primitive->acquire(), 1s);
        primitive->release();
        require(!primitive->locked(), "is locked though nobody holds it");
    };
}

template <class P>
Coro<> hold_for_a_while(std::shared_ptr<P> primitive) {
    co_await primitive->acquire();
    get_running_loop().call_later(kSoon, [primitive] { primitive->release(); });
}

template <class P>
Coro<Scene> acquired(std::shared_ptr<P> primitive) {
    co_await hold_for_a_while(primitive);
    co_return Scene{[primitive]() -> Coro<> {
                        co_await primitive->acquire();
                        primitive->release();
                    },
                    can_be_had(primitive)};
}

template <class P>
Coro<Scene> held_in_scope(std::shared_ptr<P> primitive) {
    co_await hold_for_a_while(primitive);
    co_return Scene{[primitive]() -> Coro<> {
                        const auto held = co_await primitive->scoped();
                        co_await sleep(100us);
                    },
                    can_be_had(primitive)};
}

ASYNCIO_CORO_WRAPPER Coro<Scene> lock_acquire() { return acquired(std::make_shared<Lock>()); }
ASYNCIO_CORO_WRAPPER Coro<Scene> lock_scoped() { return held_in_scope(std::make_shared<Lock>()); }
ASYNCIO_CORO_WRAPPER Coro<Scene> semaphore_acquire() {
    return acquired(std::make_shared<Semaphore>(1));
}
ASYNCIO_CORO_WRAPPER Coro<Scene> semaphore_scoped() {
    return held_in_scope(std::make_shared<Semaphore>(1));
}
ASYNCIO_CORO_WRAPPER Coro<Scene> bounded_acquire() {
    return acquired(std::make_shared<BoundedSemaphore>(1));
}
ASYNCIO_CORO_WRAPPER Coro<Scene> condition_acquire() {
    return acquired(std::make_shared<Condition>());
}

Coro<Scene> event_wait() {
    auto event = std::make_shared<Event>();
    get_running_loop().call_later(kSoon, [event] { event->set(); });
    co_return Scene{[event]() -> Coro<> { co_await event->wait(); }, {}};
}

/// Two wait for one token each; whoever is cancelled leaves the notification to the other.
Coro<> take_token(std::shared_ptr<Condition> condition, std::shared_ptr<int> tokens) {
    const auto held = co_await condition->scoped();
    while (*tokens == 0) {
        co_await condition->wait();
        require(condition->locked(), "a waiter of a condition goes on without the lock");
    }
    --*tokens;
}

Coro<Scene> condition_wait() {
    auto condition = std::make_shared<Condition>();
    auto tokens = std::make_shared<int>(0);
    auto give = [condition, tokens]() -> Coro<> {
        co_await sleep(kSoon);
        const auto held = co_await condition->scoped();
        ++*tokens;
        condition->notify();
    };
    Task<> giving = create_task(give);
    co_return Scene{[condition, tokens]() -> Coro<> { co_await take_token(condition, tokens); },
                    [condition, tokens, giving]() -> Coro<> {
                        co_await giving;
                        if (*tokens > 0) co_await wait_for(take_token(condition, tokens), 1s);
                        require(!condition->locked(), "the lock of a condition is held");
                    }};
}

Coro<Scene> condition_wait_for() {
    auto condition = std::make_shared<Condition>();
    auto ready = std::make_shared<bool>(false);
    auto give = [condition, ready]() -> Coro<> {
        co_await sleep(kSoon);
        const auto held = co_await condition->scoped();
        *ready = true;
        condition->notify_all();
    };
    Task<> giving = create_task(give);
    co_return Scene{[condition, ready]() -> Coro<> {
                        const auto held = co_await condition->scoped();
                        const bool& flag = *ready;
                        co_await condition->wait_for([&flag] { return flag; });
                    },
                    [condition, giving]() -> Coro<> {
                        co_await giving;
                        require(!condition->locked(), "the lock of a condition is held");
                    }};
}

Coro<Scene> barrier_wait() {
    auto barrier = std::make_shared<Barrier>(2);
    auto other = [barrier]() -> Coro<> {
        co_await sleep(kSoon);
        (void)co_await barrier->wait();
    };
    Task<> waiting = create_task(other);
    co_return Scene{[barrier]() -> Coro<> { (void)co_await barrier->wait(); },
                    [barrier, waiting]() -> Coro<> {
                        waiting.cancel();
                        (void)co_await as_outcome(waiting);
                        require(barrier->n_waiting() == 0, "somebody waits at the barrier still");
                    }};
}

/// Items 0 to 3 are put one after the other; each is got, by the operation or by the check.
template <class Q>
Coro<Scene> queue_get(std::shared_ptr<Q> queue, bool iterate) {
    auto got = std::make_shared<std::vector<int>>();
    auto fill = [queue]() -> Coro<> {
        for (int i = 0; i < 4; ++i) {
            co_await sleep(50us);
            co_await queue->put(i);
        }
    };
    Task<> filling = create_task(fill);
    co_return Scene{[queue, got, iterate]() -> Coro<> {
                        auto items = queue->items();
                        for (int i = 0; i < 3; ++i) {
                            if (iterate) {
                                const std::optional<int> item = co_await items.next();
                                got->push_back(*item);
                            } else {
                                const int item = co_await queue->get();
                                got->push_back(item);
                            }
                        }
                    },
                    [queue, got, filling]() -> Coro<> {
                        while (got->size() < 4) {
                            const int item = co_await wait_for(queue->get(), 2s);
                            got->push_back(item);
                        }
                        co_await filling;
                        int sum = 0;
                        for (const int item : *got) sum += item;
                        require(sum == 6 && queue->empty(), "an item was lost or doubled");
                    }};
}

ASYNCIO_CORO_WRAPPER Coro<Scene> fifo_get() {
    return queue_get(std::make_shared<Queue<int>>(2), false);
}
ASYNCIO_CORO_WRAPPER Coro<Scene> fifo_items() {
    return queue_get(std::make_shared<Queue<int>>(2), true);
}
ASYNCIO_CORO_WRAPPER Coro<Scene> priority_get() {
    return queue_get(std::make_shared<PriorityQueue<int>>(2), false);
}
ASYNCIO_CORO_WRAPPER Coro<Scene> lifo_get() {
    return queue_get(std::make_shared<LifoQueue<int>>(2), false);
}

Coro<Scene> queue_put() {
    auto queue = std::make_shared<Queue<int>>(1);
    queue->put_nowait(0);
    auto put = std::make_shared<int>(1);
    auto got = std::make_shared<int>(0);
    get_running_loop().call_later(kSoon, [queue, got] {
        if (!queue->empty()) {
            (void)queue->get_nowait();
            ++*got;
        }
    });
    co_return Scene{[queue, put]() -> Coro<> {
                        co_await queue->put(1);
                        ++*put;
                    },
                    [queue, put, got]() -> Coro<> {
                        require(*put - *got == static_cast<int>(queue->qsize()),
                                "an item was lost or doubled");
                        while (!queue->empty()) (void)queue->get_nowait();
                        co_await wait_for(queue->put(5), 1s);
                    }};
}

Coro<Scene> queue_join() {
    auto queue = std::make_shared<Queue<int>>();
    queue->put_nowait(1);
    get_running_loop().call_later(kSoon, [queue] {
        (void)queue->get_nowait();
        queue->task_done();
    });
    co_return Scene{[queue]() -> Coro<> { co_await queue->join(); }, {}};
}

Coro<Scene> thread_queue_get() {
    auto queue = std::make_shared<ThreadQueue<int>>(2);
    auto got = std::make_shared<int>(0);
    auto fill = [queue] { queue->put_blocking(7); };
    Task<> filling = create_task(to_thread(fill));
    co_return Scene{[queue, got]() -> Coro<> { *got = co_await queue->get(); },
                    [queue, got, filling]() -> Coro<> {
                        co_await filling;
                        if (*got == 0) *got = co_await wait_for(queue->get(), 2s);
                        require(*got == 7 && queue->empty(), "an item was lost or doubled");
                    }};
}

Coro<Scene> thread_queue_put() {
    auto queue = std::make_shared<ThreadQueue<int>>(1);
    queue->put_nowait(1);
    auto put = std::make_shared<bool>(false);
    auto drain = [queue] { return queue->get_blocking(); };
    auto draining = create_task(to_thread(drain));
    co_return Scene{[queue, put]() -> Coro<> {
                        co_await queue->put(2);
                        *put = true;
                    },
                    [queue, put, draining]() -> Coro<> {
                        (void)co_await draining;
                        require(queue->qsize() == (*put ? 1 : 0), "an item was lost or doubled");
                    }};
}

Coro<Scene> signal_next() {
    auto signals = std::make_shared<SignalReceiver>(open_signal_receiver(SIGUSR1));
    get_running_loop().call_later(kSoon, [] { ::kill(::getpid(), SIGUSR1); });
    auto got = std::make_shared<bool>(false);
    co_return Scene{[signals, got]() -> Coro<> {
                        const std::optional<int> signal = co_await signals->next();
                        *got = signal == SIGUSR1;
                    },
                    [signals, got]() -> Coro<> {
                        if (*got) co_return;
                        const std::optional<int> signal = co_await wait_for(signals->next(), 2s);
                        require(signal == SIGUSR1, "a signal was lost");
                    }};
}

}  // namespace

void add_sync_operations(Operations& all) {
    all.push_back({"Lock.acquire", lock_acquire});
    all.push_back({"Lock.scoped", lock_scoped});
    all.push_back({"Semaphore.acquire", semaphore_acquire});
    all.push_back({"Semaphore.scoped", semaphore_scoped});
    all.push_back({"BoundedSemaphore.acquire", bounded_acquire});
    all.push_back({"Condition.acquire", condition_acquire});
    all.push_back({"Condition.wait", condition_wait});
    all.push_back({"Condition.wait_for", condition_wait_for});
    all.push_back({"Event.wait", event_wait});
    all.push_back({"Barrier.wait", barrier_wait});
    all.push_back({"Queue.get", fifo_get});
    all.push_back({"Queue.items", fifo_items});
    all.push_back({"Queue.put", queue_put});
    all.push_back({"Queue.join", queue_join});
    all.push_back({"PriorityQueue.get", priority_get});
    all.push_back({"LifoQueue.get", lifo_get});
    all.push_back({"ThreadQueue.get", thread_queue_get});
    all.push_back({"ThreadQueue.put", thread_queue_put});
    all.push_back({"SignalReceiver.next", signal_next});
}

}  // namespace asyncio::proof
