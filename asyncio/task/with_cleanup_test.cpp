// SPDX-License-Identifier: MIT
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/task/with_cleanup.hpp>

#include <memory>
#include <string>

namespace asyncio {
namespace {

using namespace task_tests;

TEST(WithCleanup, runs_the_cleanup_after_the_body_and_gives_its_result) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto body = [&]() -> Coro<std::string> {
            co_await sleep(1s);
            events.push_back("body");
            co_return "result";
        };
        const auto cleanup = [&]() -> Coro<> {
            co_await sleep(1s);
            events.push_back("cleanup");
        };
        const std::string from_coroutine = co_await with_cleanup(body(), cleanup);
        const std::string from_callable = co_await with_cleanup(body, cleanup);
        EXPECT_EQ(from_coroutine + from_callable, "resultresult");
        EXPECT_EQ(events, (Events{"body", "cleanup", "body", "cleanup"}));
    });
}

TEST(WithCleanup, a_failure_passes_after_the_cleanup) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto cleanup = [&]() -> Coro<> {
            co_await sleep(1s);
            events.push_back("cleanup");
        };
        const auto outcome = co_await as_outcome(with_cleanup(fail_later("body", 1s), cleanup));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: body");
        EXPECT_EQ(events, (Events{"cleanup"}));
    });
}

TEST(WithCleanup, a_failure_of_the_cleanup_replaces_the_bodys) {
    testing::run([]() -> Coro<> {
        const auto cleanup = []() -> Coro<> { co_await fail_later("cleanup", 1s); };
        const auto failed = co_await as_outcome(with_cleanup(fail_at_once("body"), cleanup));
        EXPECT_EQ(error_of(failed), "std::runtime_error: cleanup");
        const auto good = co_await as_outcome(with_cleanup(at_once(1), cleanup));
        EXPECT_EQ(error_of(good), "std::runtime_error: cleanup");
    });
}

TEST(WithCleanup, runs_when_cancelled_and_the_cancellation_goes_on) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto cleanup = [&]() -> Coro<> {
            co_await sleep(1s);
            events.push_back("cleanup");
        };
        const auto work = [&]() -> Coro<> { co_await with_cleanup(forever(), cleanup); };
        Task<> t = create_task(work());
        co_await sleep(0s);
        t.cancel("stop");
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "CancelledError: stop");
        EXPECT_TRUE(t.cancelled());
        EXPECT_EQ(events, (Events{"cleanup"}));
    });
}

TEST(WithCleanup, a_second_cancel_interrupts_the_cleanup) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto cleanup = [&]() -> Coro<> { co_await note_cancel(events, "cleanup"); };
        const auto work = [&]() -> Coro<> { co_await with_cleanup(forever(), cleanup); };
        Task<> t = create_task(work());
        co_await sleep(0s);
        t.cancel("one");
        co_await turns(2);
        t.cancel("two");
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "CancelledError: two");
        EXPECT_EQ(events, (Events{"cleanup cancelled: two"}));
    });
}

TEST(WithCleanup, a_body_that_throws_before_it_is_a_coroutine_still_has_its_cleanup) {
    testing::run([]() -> Coro<> {
        bool cleaned = false;
        const auto body = []() -> Future<int> { throw std::runtime_error("no coroutine"); };
        const auto cleanup = [&]() -> Coro<> {
            cleaned = true;
            co_return;
        };
        const auto outcome = co_await as_outcome(with_cleanup(body, cleanup));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: no coroutine");
        EXPECT_TRUE(cleaned);
    });
}

TEST(WithCleanup, inside_an_expired_time_limit_the_cleanup_still_ends) {
    testing::run([]() -> Coro<> {
        bool cleaned = false;
        const auto cleanup = [&]() -> Coro<> {
            co_await sleep(5s);
            cleaned = true;
        };
        const auto outcome = co_await as_outcome(wait_for(with_cleanup(forever(), cleanup), 1s));
        EXPECT_TRUE(error_of(outcome).starts_with("asyncio::TimeoutError"));
        EXPECT_TRUE(cleaned);
    });
}

TEST(WithCleanup, callables_move_into_its_frame) {
    testing::run([]() -> Coro<> {
        auto token = std::make_unique<int>(1);
        int* seen = nullptr;
        auto body = [t = std::move(token)]() -> Coro<int> {
            co_await sleep(1s);
            co_return *t;
        };
        const auto cleanup = [&seen]() -> Coro<> {
            seen = nullptr;
            co_return;
        };
        const int v = co_await with_cleanup(std::move(body), cleanup);
        EXPECT_EQ(v, 1);
        EXPECT_EQ(seen, nullptr);
    });
}

}  // namespace
}  // namespace asyncio
