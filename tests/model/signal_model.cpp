// SPDX-License-Identifier: MIT
//
// Signals on their way from the thread they hit to the loop that wants them: loop/signal_table.hpp,
// loop/signal_handlers.hpp, sync/signal_receiver.hpp. SIGURG and SIGWINCH do nothing unless wanted.
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/sync/signal_receiver.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>

#include <csignal>
#include <memory>
#include <optional>
#include <thread>

#include "model.hpp"

using namespace asyncio;

namespace {

MODEL(a_signal_wakes_a_sleeping_loop) {
    EventLoop loop;
    loop.add_signal_handler(SIGURG, [&] { loop.stop(); });
    std::thread other([] { ::raise(SIGURG); });
    loop.run_forever();
    other.join();
    loop.close();
}

MODEL(two_signals_reach_the_loop) {
    EventLoop loop;
    int seen = 0;
    const auto count = [&] {
        if (++seen == 2) loop.stop();
    };
    loop.add_signal_handler(SIGURG, count);
    loop.add_signal_handler(SIGWINCH, count);
    std::thread one([] { ::raise(SIGURG); });
    std::thread two([] { ::raise(SIGWINCH); });
    loop.run_forever();
    one.join();
    two.join();
    loop.close();
}

MODEL(a_signal_meets_the_removal_of_its_handler) {
    auto loop = std::make_unique<EventLoop>();
    bool removed = false;
    loop->add_signal_handler(SIGURG, [&] { MODEL_CHECK(!removed); });
    std::thread other([] { ::raise(SIGURG); });
    loop->remove_signal_handler(SIGURG);
    removed = true;
    loop->call_soon([&] { loop->stop(); });
    loop->run_forever();
    loop->close();
    loop = nullptr;
    other.join();
}

MODEL(a_signal_meets_the_end_of_its_loop) {
    auto loop = std::make_unique<EventLoop>();
    loop->add_signal_handler(SIGURG, [] {});
    std::thread other([] { ::raise(SIGURG); });
    loop->call_soon([&] { loop->stop(); });
    loop->run_forever();
    loop->close();
    loop = nullptr;
    other.join();
}

MODEL(a_receiver_gets_a_signal) {
    EventLoop loop;
    std::optional<std::thread> other;
    const auto receive = [&]() -> Coro<> {
        const SignalReceiver signals = open_signal_receiver(SIGURG);
        other.emplace([] { ::raise(SIGURG); });
        const std::optional<int> signal = co_await signals.next();
        MODEL_CHECK(signal == SIGURG);
    };
    loop.run_until_complete(receive());
    other->join();
    loop.close();
}

MODEL(a_receiver_closes_while_a_signal_comes) {
    EventLoop loop;
    std::optional<std::thread> other;
    const auto receive = [&]() -> Coro<> {
        SignalReceiver signals = open_signal_receiver(SIGURG);
        other.emplace([] { ::raise(SIGURG); });
        signals.close();
        const std::optional<int> signal = co_await signals.next();
        MODEL_CHECK(!signal || signal == SIGURG);
    };
    loop.run_until_complete(receive());
    other->join();
    loop.close();
}

MODEL(a_signal_meets_its_handler_being_replaced) {
    EventLoop one;
    EventLoop two;
    int heard = 0;
    one.add_signal_handler(SIGURG, [&] { ++heard; });
    std::thread other([] { ::raise(SIGURG); });
    two.add_signal_handler(SIGURG, [&] { ++heard; });
    other.join();
    for (EventLoop* loop : {&one, &two}) {
        for (int i = 0; i < 2; ++i) {
            loop->call_soon([&] { loop->stop(); });
            loop->run_forever();
        }
        loop->close();
    }
    MODEL_CHECK(heard <= 1);
}

MODEL(a_signal_comes_as_a_receiver_opens) {
    EventLoop loop;
    int heard = 0;
    loop.add_signal_handler(SIGURG, [&] { ++heard; });
    std::thread other([] { ::raise(SIGURG); });
    const auto receive = [&]() -> Coro<> {
        SignalReceiver signals = open_signal_receiver(SIGURG);
        other.join();
        co_await sleep(Duration(1));
        signals.close();
        const std::optional<int> signal = co_await signals.next();
        if (signal) ++heard;
    };
    loop.run_until_complete(receive());
    loop.close();
    MODEL_CHECK(heard == 1);
}

MODEL(two_loops_receive_a_signal, .preemptions = 1) {
    const auto receive = []() -> Coro<> {
        const SignalReceiver signals = open_signal_receiver(SIGURG);
        std::thread raiser([] { ::raise(SIGURG); });
        const std::optional<int> signal = co_await signals.next();
        MODEL_CHECK(signal == SIGURG);
        raiser.join();
    };
    std::thread other([&] {
        EventLoop loop;
        loop.run_until_complete(receive());
        loop.close();
    });
    EventLoop loop;
    loop.run_until_complete(receive());
    loop.close();
    other.join();
}

}  // namespace
