// SPDX-License-Identifier: MIT
#include <asyncio/task/run.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/with_cleanup.hpp>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace task_tests;

std::unique_ptr<EventLoop> virtual_loop() { return testing::make_virtual_loop(); }

// --- results --------------------------------------------------------------------------------

TEST(Run, RUN_01_gives_the_result_or_throws) {
    EXPECT_EQ(run(at_once(5)), 5);
    run(return_at_once());
    EXPECT_EQ(*run([]() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(6); }), 6);
    EXPECT_THROW(run(fail_at_once("x")), std::runtime_error);
    const auto cancelled = []() -> Coro<> {
        throw CancelledError("self");
        co_return;
    };
    EXPECT_THROW(run(cancelled()), CancelledError);
}

TEST(Run, RUN_02_takes_awaitables_and_functions_that_return_them) {
    const TimePoint start = testing::VirtualClock::kStart;
    testing::run(sleep(1h));
    testing::run([] { return sleep(1h); });
    const auto now = []() -> Coro<TimePoint> {
        co_await sleep(1h);
        co_return get_running_loop().time();
    };
    EXPECT_EQ(testing::run(now), start + 1h);
    const auto loop = testing::make_virtual_loop();
    Future<int> f = loop->create_future<int>();
    loop->call_later(1s, [f] { f.set_result(3); });
    EXPECT_EQ(loop->run_until_complete(f), 3);
    loop->close();
}

TEST(Run, RUN_03_inside_a_running_loop_is_an_error_and_does_not_consume_the_coroutine) {
    testing::run([]() -> Coro<> {
        Coro<int> inner = at_once(1);
        EXPECT_THROW(run(std::move(inner)), std::logic_error);
        EXPECT_TRUE(inner.valid());  // asyncio-lint: ok
        Runner runner;
        EXPECT_THROW(runner.run(std::move(inner)), std::logic_error);
        EXPECT_TRUE(inner.valid());  // asyncio-lint: ok
        const int v = co_await std::move(inner);
        EXPECT_EQ(v, 1);
    });
}

// --- what is left ---------------------------------------------------------------------------

TEST(Run, RUN_04_leftover_tasks_are_cancelled_and_awaited) {
    Events events;
    const auto leftover = [&]() -> Coro<> {
        (void)co_await as_outcome(forever());
        events.push_back("cancelled");
        co_await sleep(10s);
        events.push_back("ended");
    };
    testing::run([&]() -> Coro<> {
        Task<> dropped = create_task(leftover());
        co_await sleep(0s);
        events.push_back("main ends");
    });
    EXPECT_EQ(events, (Events{"main ends", "cancelled", "ended"}));
}

TEST(Run, RUN_05_also_when_main_failed_whose_exception_is_thrown) {
    Events events;
    const auto main = [&]() -> Coro<> {
        Task<> dropped = create_task(note_cancel(events, "leftover"));
        co_await sleep(0s);
        throw std::runtime_error("main");
    };
    try {
        testing::run(main());
        ADD_FAILURE();
    } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "main");
    }
    EXPECT_EQ(events, (Events{"leftover cancelled"}));
}

TEST(Run, RUN_06_a_leftover_that_fails_is_reported_with_the_phase) {
    Runner runner({.loop_factory = virtual_loop});
    testing::ErrorLog errors(runner.get_loop());
    const auto leftover = []() -> Coro<> {
        (void)co_await as_outcome(forever());
        throw std::runtime_error("in shutdown");
    };
    const auto main = [&]() -> Coro<> {
        Task<> dropped = create_task(leftover(), {.name = "left"});
        co_await sleep(0s);
    };
    runner.run(main());
    runner.close();
    EXPECT_EQ(errors.messages(), (Events{"unhandled exception during asyncio.run() shutdown"}));
    ASSERT_EQ(errors.reports().size(), 1u);
    EXPECT_EQ(errors.exceptions(), (Events{"std::runtime_error: in shutdown"}));
    EXPECT_EQ(errors.reports()[0].task, "left");
}

TEST(Run, RUN_07_leftovers_are_cancelled_once_and_what_they_start_is_destroyed) {
    Runner runner({.loop_factory = virtual_loop});
    testing::ErrorLog errors(runner.get_loop());
    int cancels = 0;
    const auto leftover = [&]() -> Coro<> {
        (void)co_await as_outcome(forever());
        ++cancels;
        Task<> late = create_task(forever(), {.name = "late"});
        co_await sleep(1s);
    };
    const auto main = [&]() -> Coro<> {
        Task<> dropped = create_task(leftover());
        co_await sleep(0s);
    };
    runner.run(main());
    runner.close();
    EXPECT_EQ(cancels, 1);
    EXPECT_EQ(errors.messages(), (Events{"Task was destroyed but it is pending!"}));
    ASSERT_EQ(errors.reports().size(), 1u);
    EXPECT_EQ(errors.reports()[0].task, "late");
}

EventLoop* made = nullptr;
TEST(Run, RUN_10_the_loop_is_closed_in_any_case) {
    const auto noting = [] {
        auto loop = testing::make_virtual_loop();
        made = loop.get();
        return loop;
    };
    std::shared_ptr<int> token = std::make_shared<int>();
    Task<> survivor;
    const auto hold = [](std::shared_ptr<int>) -> Coro<> { co_await forever(); };
    const auto main = [&]() -> Coro<> {
        survivor = create_task(hold(token));
        co_await sleep(0s);
        throw SystemExit(3);
    };
    EXPECT_THROW(run(main(), {.loop_factory = noting}), SystemExit);
    EXPECT_EQ(token.use_count(), 1);
    EXPECT_THROW(survivor.get_loop(), std::logic_error);
}

TEST(Run, stopping_the_loop_under_main_is_an_error) {
    const auto main = []() -> Coro<> {
        get_running_loop().stop();
        co_await forever();
    };
    EXPECT_THROW(testing::run(main()), std::logic_error);
}

// --- options --------------------------------------------------------------------------------

bool debug_of(RunOptions options) {
    const auto ask = []() -> Coro<bool> { co_return get_running_loop().get_debug(); };
    return run(ask(), options);
}
TEST(Run, RUN_11_debug_overrides_the_environment) {
    ::unsetenv("ASYNCIO_DEBUG");
    EXPECT_FALSE(debug_of({}));
    EXPECT_TRUE(debug_of({.debug = true}));
    ::setenv("ASYNCIO_DEBUG", "1", 1);
    EXPECT_TRUE(debug_of({}));
    EXPECT_FALSE(debug_of({.debug = false}));
    ::unsetenv("ASYNCIO_DEBUG");
}

TEST(Run, RUN_12_a_loop_factory_makes_the_loop) {
    EventLoop* seen = nullptr;
    const auto noting = [] {
        auto loop = testing::make_virtual_loop();
        made = loop.get();
        return loop;
    };
    const auto main = [&]() -> Coro<> {
        seen = &get_running_loop();
        co_return;
    };
    run(main(), {.loop_factory = noting});
    EXPECT_EQ(seen, made);
    EXPECT_EQ(get_running_loop_or_null(), nullptr);
}

// --- Runner ---------------------------------------------------------------------------------

int loops_made = 0;
TEST(Runner, RUN_13_makes_its_loop_lazily_and_keeps_it) {
    loops_made = 0;
    Runner runner({.loop_factory = [] {
        ++loops_made;
        return testing::make_virtual_loop();
    }});
    EXPECT_EQ(loops_made, 0);
    EventLoop* first = nullptr;
    const auto main = [&]() -> Coro<> {
        first = &get_running_loop();
        co_return;
    };
    runner.run(main());
    EXPECT_EQ(runner.run(at_once(2)), 2);
    EXPECT_EQ(&runner.get_loop(), first);
    EXPECT_EQ(loops_made, 1);
}

TEST(Runner, tasks_live_from_one_run_to_the_next) {
    Runner runner({.loop_factory = virtual_loop});
    Task<int> t;
    const auto first = [&]() -> Coro<> {
        t = create_task(later(3, 10s));
        co_await sleep(1s);
    };
    const auto second = [&]() -> Coro<int> { co_return co_await t; };
    runner.run(first());
    EXPECT_FALSE(t.done());
    EXPECT_EQ(runner.run(second()), 3);
}

TEST(Runner, RUN_14_after_close_it_refuses_and_closing_twice_is_fine) {
    Runner runner;
    EXPECT_EQ(runner.run(at_once(1)), 1);
    runner.close();
    runner.close();
    EXPECT_THROW(runner.get_loop(), std::logic_error);
    EXPECT_THROW(runner.run(at_once(1)), std::logic_error);
    Runner never_used;
    never_used.close();
    EXPECT_THROW(never_used.get_loop(), std::logic_error);
}

TEST(Runner, each_thread_can_have_one) {
    std::atomic<int> sum{0};
    const auto work = [&] { sum += run(later(1, 1ms)); };
    std::thread a(work);
    std::thread b(work);
    a.join();
    b.join();
    EXPECT_EQ(sum, 2);
}

TEST(Runner, RUN_23_results_need_no_text) {
    struct Opaque {
        int v;
    };
    const auto main = []() -> Coro<Opaque> { co_return Opaque{4}; };
    EXPECT_EQ(run(main()).v, 4);
}

// --- SIGINT ---------------------------------------------------------------------------------

/// Runs `f` in a child process; its exit code, or -signal.
template <class F>
int in_child(F&& f) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGINT, SIG_DFL);
        ::alarm(20);
        int code = 99;
        try {
            code = f();
        } catch (const KeyboardInterrupt&) {
            code = 40;
        } catch (const CancelledError&) {
            code = 41;
        } catch (...) {
            code = 42;
        }
        ::_exit(code);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

Coro<int> interrupted_sleep(bool& cleaned) {
    const auto cleanup = [&]() -> Coro<> {
        cleaned = true;
        co_await sleep(1ms);
    };
    get_running_loop().call_soon([] { ::raise(SIGINT); });
    co_await with_cleanup(forever(), cleanup);
    co_return 1;
}

TEST(RunSigint, RUN_17_the_first_one_cancels_main_and_becomes_KeyboardInterrupt) {
    EXPECT_EQ(in_child([] {
                  bool cleaned = false;
                  try {
                      return run(interrupted_sleep(cleaned));
                  } catch (const KeyboardInterrupt&) {
                      return cleaned ? 7 : 8;
                  }
              }),
              7);
}

/// SIGINT from another thread; `asleep`: once the calling one, which runs the loop, is in its poll.
void interrupt(bool asleep) {
    std::thread([asleep, loop_thread = ::gettid()] {
        const std::string path = "/proc/self/task/" + std::to_string(loop_thread) + "/stat";
        std::string number, name, state;
        while (asleep && state != "S") {
            std::ifstream stat(path);
            stat >> number >> name >> state;
        }
        ::kill(::getpid(), SIGINT);
    }).detach();
}

TEST(RunSigint, RUN_18_it_interrupts_a_loop_that_waits_and_one_that_is_busy) {
    EXPECT_EQ(in_child([] {
                  run([]() -> Coro<> {
                      interrupt(true);
                      co_await forever();
                  });
                  return 0;
              }),
              40);
    EXPECT_EQ(in_child([] {
                  run([]() -> Coro<> {
                      interrupt(false);
                      co_await turns(2'000'000'000);
                  });
                  return 0;
              }),
              40);
}

TEST(RunSigint, RUN_19_the_second_one_ends_the_process) {
    EXPECT_EQ(in_child([] {
                  run([]() -> Coro<> {
                      get_running_loop().call_soon([] { ::raise(SIGINT); });
                      (void)co_await as_outcome(forever());
                      ::raise(SIGINT);
                      co_await forever();
                  });
                  return 0;
              }),
              -SIGINT);
}

TEST(RunSigint, RUN_19_even_if_the_loop_is_stuck) {
    EXPECT_EQ(in_child([] {
                  run([]() -> Coro<> {
                      ::raise(SIGINT);
                      ::raise(SIGINT);
                      co_return;
                  });
                  return 0;
              }),
              -SIGINT);
}

TEST(RunSigint, RUN_20_if_others_cancelled_main_too_it_is_CancelledError) {
    EXPECT_EQ(in_child([] {
                  run([]() -> Coro<> {
                      const AnyTask self = current_task();
                      get_running_loop().call_soon([self] {
                          self.cancel();
                          ::raise(SIGINT);
                      });
                      const auto outcome = co_await as_outcome(forever());
                      co_await turns(3);
                      outcome.value();
                  });
                  return 0;
              }),
              41);
}

TEST(RunSigint, RUN_21_if_main_swallows_it_its_own_result_or_exception_counts) {
    EXPECT_EQ(in_child([] {
                  return run([]() -> Coro<int> {
                      get_running_loop().call_soon([] { ::raise(SIGINT); });
                      (void)co_await as_outcome(forever());
                      co_return 13;
                  });
              }),
              13);
    EXPECT_EQ(in_child([] {
                  run([]() -> Coro<> {
                      get_running_loop().call_soon([] { ::raise(SIGINT); });
                      (void)co_await as_outcome(forever());
                      throw std::runtime_error("own");
                  });
                  return 0;
              }),
              42);
}

TEST(RunSigint, RUN_22_only_with_the_default_disposition_and_restored_afterwards) {
    EXPECT_EQ(in_child([] {
                  static volatile sig_atomic_t mine = 0;
                  ::signal(SIGINT, [](int) { mine = 1; });
                  run([]() -> Coro<> {
                      ::raise(SIGINT);
                      co_await turns(3);
                  });
                  return mine == 1 ? 5 : 6;
              }),
              5);
    EXPECT_EQ(in_child([] {
                  run(return_at_once());
                  struct sigaction now = {};
                  ::sigaction(SIGINT, nullptr, &now);
                  return now.sa_handler == SIG_DFL ? 5 : 6;
              }),
              5);
    EXPECT_EQ(in_child([] {
                  int result = 0;
                  std::thread([&] { result = run(at_once(5)); }).join();
                  return result;
              }),
              5);
}

TEST(RunSigint, it_is_counted_anew_for_each_run) {
    EXPECT_EQ(in_child([] {
                  Runner runner;
                  for (int i = 0; i < 3; ++i) {
                      bool cleaned = false;
                      try {
                          runner.run(interrupted_sleep(cleaned));
                          return 1;
                      } catch (const KeyboardInterrupt&) {
                      }
                  }
                  return runner.run(at_once(9));
              }),
              9);
}

template <loop::Service::Stage kStage>
class Shop final : public loop::Service {
  public:
    explicit Shop(EventLoop&) : Service(kStage) {}
    Coro<> shut_down() override {
        co_await sleep(0s);
        events->push_back(kStage == Stage::threads ? "threads" : "user code");
    }
    void loop_closed() noexcept override { events->push_back("closed"); }
    static inline Events* events = nullptr;
};

TEST(Run, the_services_of_the_loop_are_shut_down_by_stage_after_the_tasks) {
    using Threads = Shop<loop::Service::Stage::threads>;
    using Generators = Shop<loop::Service::Stage::user_code>;
    Events events;
    Threads::events = Generators::events = &events;
    asyncio::run([&]() -> Coro<> {
        get_running_loop().service<Generators>();
        get_running_loop().service<Threads>();
        (void)create_task(note_cancel(events, "task"));
        co_await sleep(0s);
    });
    EXPECT_EQ(events, (Events{"task cancelled", "user code", "threads", "closed", "closed"}));
}

}  // namespace
}  // namespace asyncio
