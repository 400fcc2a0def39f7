// SPDX-License-Identifier: MIT
//
// Signals are the process's: each test runs in a forked child, except those that only get errors.
#include <asyncio/sync/signal_receiver.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

namespace asyncio {
namespace {

/// Runs `body` in a child; its exit status, or the negative signal that ended it.
template <class F>
int in_child(F&& body) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        int status = 99;
        try {
            body();
            status = ::testing::Test::HasFailure() ? 1 : 0;
        } catch (...) {
        }
        std::fflush(nullptr);
        ::_exit(status);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

using Handler = void (*)(int);

Handler disposition(int signal) {
    struct sigaction action = {};
    EXPECT_EQ(::sigaction(signal, nullptr, &action), 0);
    return action.sa_handler;
}

Coro<int> take(const SignalReceiver& signals) {
    const std::optional<int> signal = co_await signals.next();
    co_return signal.value_or(0);
}

TEST(SignalReceiver, gives_the_signals_in_the_order_of_their_arrival_each_once) {
    EXPECT_EQ(in_child([] {
                  asyncio::run([]() -> Coro<> {
                      SignalReceiver signals = open_signal_receiver(SIGUSR1, SIGUSR2, SIGUSR1);
                      ::raise(SIGUSR2);
                      co_await sleep(Duration::zero());
                      ::raise(SIGUSR1);
                      ::raise(SIGUSR2);
                      ::raise(SIGUSR1);
                      co_await sleep(Duration::zero());
                      const int first = co_await take(signals);
                      const int second = co_await take(signals);
                      EXPECT_EQ(first, SIGUSR2);
                      EXPECT_EQ(second, SIGUSR1);
                      Task<int> waiting = create_task(take(signals));
                      co_await sleep(Duration::zero());
                      ::raise(SIGUSR1);
                      const int third = co_await waiting;
                      EXPECT_EQ(third, SIGUSR1);
                  });
              }),
              0);
}

TEST(SignalReceiver, wakes_a_loop_that_sleeps_in_any_thread) {
    EXPECT_EQ(in_child([] {
                  std::thread([] {
                      asyncio::run([]() -> Coro<> {
                          SignalReceiver signals = open_signal_receiver(SIGUSR1);
                          std::thread sender([self = ::getpid()] { ::kill(self, SIGUSR1); });
                          const int signal = co_await take(signals);
                          EXPECT_EQ(signal, SIGUSR1);
                          sender.join();
                      });
                  }).join();
                  EXPECT_EQ(disposition(SIGUSR1), SIG_DFL);
              }),
              0);
}

TEST(SignalReceiver, every_receiver_gets_the_signal_on_every_loop) {
    EXPECT_EQ(in_child([] {
                  constexpr int kThreads = 4;
                  std::atomic<int> ready = 0;
                  std::atomic<int> got = 0;
                  std::vector<std::thread> threads;
                  for (int i = 0; i < kThreads; ++i)
                      threads.emplace_back([&] {
                          asyncio::run([&]() -> Coro<> {
                              SignalReceiver one = open_signal_receiver(SIGUSR1);
                              SignalReceiver two = open_signal_receiver(SIGUSR1, SIGUSR2);
                              ++ready;
                              const int first = co_await take(one);
                              const int second = co_await take(two);
                              if (first == SIGUSR1 && second == SIGUSR1) ++got;
                          });
                      });
                  while (ready != kThreads) std::this_thread::yield();
                  ::kill(::getpid(), SIGUSR1);
                  for (std::thread& thread : threads) thread.join();
                  EXPECT_EQ(got, kThreads);
                  EXPECT_EQ(disposition(SIGUSR1), SIG_DFL);
                  EXPECT_EQ(disposition(SIGUSR2), SIG_DFL);
              }),
              0);
}

TEST(SignalReceiver, covers_handlers_which_come_back_with_its_end) {
    EXPECT_EQ(in_child([] {
                  ::signal(SIGUSR2, SIG_IGN);
                  asyncio::run([]() -> Coro<> {
                      EventLoop& loop = get_running_loop();
                      int calls = 0;
                      loop.add_signal_handler(SIGUSR1, [&] { ++calls; });
                      {
                          SignalReceiver outer = open_signal_receiver(SIGUSR1, SIGUSR2);
                          SignalReceiver inner = open_signal_receiver(SIGUSR1);
                          ::raise(SIGUSR1);
                          const int in_inner = co_await take(inner);
                          const int in_outer = co_await take(outer);
                          EXPECT_EQ(in_inner + in_outer, 2 * SIGUSR1);
                          outer.close();
                          ::raise(SIGUSR1);
                          const int again = co_await take(inner);
                          EXPECT_EQ(again, SIGUSR1);
                          EXPECT_EQ(disposition(SIGUSR2), SIG_IGN);
                          loop.add_signal_handler(SIGUSR1, [&] { calls += 10; });
                      }
                      EXPECT_EQ(calls, 0);
                      ::raise(SIGUSR1);
                      while (calls == 0) co_await sleep(Duration::zero());
                      EXPECT_EQ(calls, 10);
                      {
                          SignalReceiver signals = open_signal_receiver(SIGUSR1);
                          EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
                          EXPECT_NE(disposition(SIGUSR1), SIG_DFL);
                      }
                      EXPECT_EQ(disposition(SIGUSR1), SIG_DFL);
                  });
              }),
              0);
}

TEST(SignalReceiver, takes_the_interrupt_from_run) {
    EXPECT_EQ(in_child([] {
                  asyncio::run([]() -> Coro<> {
                      {
                          SignalReceiver signals = open_signal_receiver(SIGINT);
                          for (int i = 0; i < 3; ++i) {
                              ::raise(SIGINT);
                              const int signal = co_await take(signals);
                              EXPECT_EQ(signal, SIGINT);
                          }
                      }
                      // Now it is run()'s again.
                      ::raise(SIGINT);
                      const auto interrupted = co_await as_outcome(sleep(std::chrono::hours(1)));
                      EXPECT_TRUE(interrupted.cancelled());
                  });
              }),
              0);
}

TEST(SignalReceiver, cancelling_loses_no_signal_and_closing_ends_the_wait) {
    EXPECT_EQ(in_child([] {
                  asyncio::run([]() -> Coro<> {
                      SignalReceiver signals = open_signal_receiver(SIGUSR1);
                      Task<int> first = create_task(take(signals));
                      co_await sleep(Duration::zero());
                      ::raise(SIGUSR1);
                      first.cancel();
                      const auto cancelled = co_await as_outcome(first);
                      EXPECT_TRUE(cancelled.cancelled());
                      const int kept = co_await take(signals);
                      EXPECT_EQ(kept, SIGUSR1);
                      // Of two that wait, one gets it; the other waits on, and hears of the end.
                      Task<int> one = create_task(take(signals));
                      Task<int> two = create_task(take(signals));
                      co_await sleep(Duration::zero());
                      ::raise(SIGUSR1);
                      const int taken = co_await one;
                      EXPECT_EQ(taken, SIGUSR1);
                      co_await sleep(Duration::zero());
                      EXPECT_FALSE(two.done());
                      signals.close();
                      signals.close();
                      const int none = co_await two;
                      const int closed = co_await take(signals);
                      EXPECT_EQ(none + closed, 0);
                  });
              }),
              0);
}

TEST(SignalReceiver, goes_with_its_loop) {
    EXPECT_EQ(in_child([] {
                  std::optional<SignalReceiver> signals;
                  asyncio::run([&]() -> Coro<> {
                      signals = open_signal_receiver(SIGUSR1);
                      const Task<int> left_behind = create_task(take(*signals));
                      co_await sleep(Duration::zero());
                  });
                  EXPECT_EQ(disposition(SIGUSR1), SIG_DFL);
                  signals.reset();
              }),
              0);
}

TEST(SignalReceiver, refused_signals_leave_nothing_behind) {
    asyncio::run([]() -> Coro<> {
        EXPECT_THROW((void)open_signal_receiver(SIGUSR1, 0), std::invalid_argument);
        EXPECT_THROW((void)open_signal_receiver(SIGUSR1, 65), std::invalid_argument);
        EXPECT_THROW((void)open_signal_receiver(SIGUSR1, SIGKILL), std::logic_error);
        EXPECT_THROW((void)open_signal_receiver(SIGUSR1, 32), std::system_error);  // libc's own
        EXPECT_EQ(disposition(SIGUSR1), SIG_DFL);
        co_return;
    });
    EXPECT_THROW((void)open_signal_receiver(SIGUSR1), std::logic_error);  // no loop
}

TEST(SignalReceiver, a_storm_while_receivers_come_and_go_on_two_loops) {
    EXPECT_EQ(in_child([] {
                  std::atomic<bool> stop = false;
                  std::atomic<int> opened = 0;
                  const auto keep_turning = [&] {
                      asyncio::run([&]() -> Coro<> {
                          SignalReceiver always = open_signal_receiver(SIGUSR1);
                          ++opened;
                          for (int i = 0; i < 300; ++i) {
                              SignalReceiver more = open_signal_receiver(SIGUSR1, SIGUSR2);
                              const int signal = co_await take(more);
                              EXPECT_TRUE(signal == SIGUSR1);
                          }
                          --opened;
                          while (opened != 0) {
                              const int signal = co_await take(always);
                              EXPECT_EQ(signal, SIGUSR1);
                          }
                      });
                  };
                  EventLoop covering;
                  covering.add_signal_handler(SIGUSR1, [] {});
                  std::thread sender([&, self = ::getpid()] {
                      while (!stop) ::kill(self, SIGUSR1);
                  });
                  std::thread other(keep_turning);
                  keep_turning();
                  other.join();
                  stop = true;
                  sender.join();
                  covering.close();
              }),
              0);
}

}  // namespace
}  // namespace asyncio
