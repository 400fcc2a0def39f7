// SPDX-License-Identifier: MIT
//
// Signals are the process's: each test runs in a forked child, except those that only get errors.
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/signal_handlers.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace std::chrono_literals;

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

void iterate(EventLoop& loop) {
    loop.stop();
    loop.run_forever();
}

using Handler = void (*)(int);

Handler disposition(int signal) {
    struct sigaction action = {};
    EXPECT_EQ(::sigaction(signal, nullptr, &action), 0);
    return action.sa_handler;
}

TEST(SignalHandlers, SIG_01_runs_as_a_loop_callback_and_wakes_a_blocked_loop) {
    EXPECT_EQ(in_child([] {
                  EventLoop loop;
                  std::string log;
                  loop.add_signal_handler(SIGUSR1, [&] {
                      EXPECT_EQ(&get_running_loop(), &loop);
                      log += "handler ";
                      loop.stop();
                  });
                  const pid_t self = ::getpid();
                  std::thread sender([self] { ::kill(self, SIGUSR1); });
                  loop.run_forever();
                  sender.join();
                  EXPECT_EQ(log, "handler ");
                  ::raise(SIGUSR1);
                  EXPECT_EQ(log, "handler ");  // never inside the signal handler
                  loop.run_forever();
                  EXPECT_EQ(log, "handler handler ");
                  loop.close();
              }),
              0);
}

TEST(SignalHandlers, SIG_01_an_exception_of_a_handler_is_reported) {
    EXPECT_EQ(
        in_child([] {
            EventLoop loop;
            int reports = 0;
            loop.set_exception_handler([&](EventLoop&, const ExceptionContext&) { ++reports; });
            loop.add_signal_handler(SIGUSR1, [] { throw std::runtime_error("bad"); });
            ::raise(SIGUSR1);
            iterate(loop);
            iterate(loop);
            EXPECT_EQ(reports, 1);
            loop.close();
        }),
        0);
}

TEST(SignalHandlers, SIG_02_other_threads_are_refused) {
    EventLoop loop;
    std::thread([&] {
        EXPECT_THROW(loop.add_signal_handler(SIGUSR1, [] {}), std::logic_error);
    }).join();
    EXPECT_EQ(disposition(SIGUSR1), SIG_DFL);
    loop.close();
}

TEST(SignalHandlers, SIG_03_SIG_07_refused_signals_leave_nothing_behind) {
    EventLoop loop;
    for (const int signal : {-1, 0, 65, 1000})
        EXPECT_THROW(loop.add_signal_handler(signal, [] {}), std::invalid_argument) << signal;
    for (const int signal : {SIGKILL, SIGSTOP})
        EXPECT_THROW(loop.add_signal_handler(signal, [] {}), std::logic_error) << signal;
    const auto owned_by_handler = std::make_shared<int>(0);
    // 32 and 33 belong to the threads of the C library: the system refuses.
    EXPECT_THROW(loop.add_signal_handler(32, [owned_by_handler] {}), std::system_error);
    EXPECT_EQ(owned_by_handler.use_count(), 1);
    for (const int signal : {-1, 0, 32, 65, 1000, SIGKILL})
        EXPECT_FALSE(loop.remove_signal_handler(signal)) << signal;
    loop.close();
}

TEST(SignalHandlers, SIG_04_a_second_handler_replaces_the_first_without_a_gap) {
    EXPECT_EQ(in_child([] {
                  EventLoop loop;
                  EventLoop other;
                  std::string log;
                  const auto owned_by_first = std::make_shared<int>(0);
                  loop.add_signal_handler(SIGTERM, [&, owned_by_first] { log += "first "; });
                  loop.add_signal_handler(SIGTERM, [&] { log += "second "; });
                  EXPECT_EQ(owned_by_first.use_count(), 1);
                  ::raise(SIGTERM);
                  iterate(loop);
                  iterate(loop);
                  other.add_signal_handler(SIGTERM, [&] { log += "other loop "; });
                  EXPECT_FALSE(loop.remove_signal_handler(SIGTERM));
                  ::raise(SIGTERM);
                  iterate(loop);
                  iterate(other);
                  iterate(other);
                  EXPECT_EQ(log, "second other loop ");
                  loop.close();
                  EXPECT_NE(disposition(SIGTERM), SIG_DFL);  // still the other loop's
                  other.close();
                  EXPECT_EQ(disposition(SIGTERM), SIG_DFL);
              }),
              0);
}

TEST(SignalHandlers, SIG_04_signals_arriving_while_handlers_are_replaced_end_nothing) {
    // Found by reading: replacing passed through the default disposition.
    EXPECT_EQ(in_child([] {
                  EventLoop loop;
                  std::atomic<bool> stop = false;
                  loop.add_signal_handler(SIGTERM, [] {});
                  const pid_t self = ::getpid();
                  std::thread sender([&] {
                      while (!stop) ::kill(self, SIGTERM);
                  });
                  for (int i = 0; i < 5000; ++i) loop.add_signal_handler(SIGTERM, [] {});
                  stop = true;
                  sender.join();
                  loop.add_signal_handler(SIGTERM, [] {});
                  loop.close();
              }),
              0);
}

TEST(SignalHandlers, SIG_05_removing_restores_the_default_disposition) {
    EXPECT_EQ(in_child([] {
                  EventLoop loop;
                  EXPECT_FALSE(loop.remove_signal_handler(SIGTERM));
                  loop.add_signal_handler(SIGTERM, [] {});
                  EXPECT_TRUE(loop.remove_signal_handler(SIGTERM));
                  EXPECT_FALSE(loop.remove_signal_handler(SIGTERM));
                  ::raise(SIGTERM);
              }),
              -SIGTERM);
}

TEST(SignalHandlers, SIG_06_SIG_08_closing_the_loop_removes_all_handlers) {
    EXPECT_EQ(in_child([] {
                  const auto owned_by_all = std::make_shared<int>(0);
                  EventLoop loop;
                  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, 64})
                      loop.add_signal_handler(signal, [owned_by_all] {});
                  loop.close();
                  EXPECT_EQ(owned_by_all.use_count(), 1);
                  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, 64})
                      EXPECT_EQ(disposition(signal), SIG_DFL);
              }),
              0);
}

TEST(SignalHandlers, SIG_09_a_signal_without_handler_is_ignored) {
    EXPECT_EQ(in_child([] {
                  EventLoop loop;
                  int calls = 0;
                  loop.add_signal_handler(SIGUSR1, [&] { ++calls; });
                  ::raise(SIGUSR1);  // has arrived, but is not delivered yet
                  EXPECT_TRUE(loop.remove_signal_handler(SIGUSR1));
                  loop.add_signal_handler(SIGUSR1, [&] { calls += 100; });
                  iterate(loop);
                  iterate(loop);
                  EXPECT_EQ(calls, 0);
                  loop.close();
              }),
              0);
}

TEST(SignalHandlers, a_handler_for_one_delivery_leaves_the_default_for_the_next) {
    EXPECT_EQ(in_child([] {
                  EventLoop loop;
                  int calls = 0;
                  loop.add_signal_handler_once(SIGINT, [&] { ++calls; });
                  ::raise(SIGINT);
                  iterate(loop);
                  iterate(loop);
                  EXPECT_EQ(calls, 1);
                  if (calls == 1) ::raise(SIGINT);
              }),
              -SIGINT);
}

TEST(SignalHandlers, removal_by_number_leaves_a_successor_alone) {
    EXPECT_EQ(in_child([] {
                  EventLoop loop;
                  const std::uint64_t number = loop.add_signal_handler_once(SIGINT, [] {});
                  loop.add_signal_handler(SIGINT, [] {});
                  EXPECT_FALSE(loop.remove_signal_handler(SIGINT, number));
                  EXPECT_TRUE(loop.remove_signal_handler(SIGINT));
                  loop.close();
              }),
              0);
}

TEST(SignalHandlers, a_storm_of_signals_while_loops_hand_over) {
    EXPECT_EQ(in_child([] {
                  std::atomic<bool> stop = false;
                  EventLoop last;
                  last.add_signal_handler(SIGUSR2, [] {});
                  std::thread sender([&stop, self = ::getpid()] {
                      while (!stop) ::kill(self, SIGUSR2);
                  });
                  for (int i = 0; i < 200; ++i) {
                      EventLoop loop;
                      loop.add_signal_handler(SIGUSR2, [&] { loop.stop(); });
                      loop.run_forever();
                      last.add_signal_handler(SIGUSR2, [&] { last.stop(); });
                      last.run_forever();
                      loop.close();
                  }
                  stop = true;
                  sender.join();
                  last.close();
              }),
              0);
}

}  // namespace
}  // namespace asyncio
