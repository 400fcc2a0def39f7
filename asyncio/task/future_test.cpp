// SPDX-License-Identifier: MIT
#include <asyncio/task/future.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

using namespace std::chrono_literals;

using Log = std::vector<std::string>;

class FutureTest : public ::testing::Test {
  protected:
    ~FutureTest() override {
        if (owned) loop.close();
    }
    void iterate() {
        loop.stop();
        loop.run_forever();
    }
    template <class T = int>
    Future<T> pending() {
        return loop.create_future<T>();
    }
    Future<int> with_result(int value) {
        Future<int> future = pending();
        future.set_result(value);
        return future;
    }
    Future<int> with_error(const char* text) {
        Future<int> future = pending();
        future.set_exception(std::runtime_error(text));
        return future;
    }
    Future<int> with_cancel(const char* message) {
        Future<int> future = pending();
        future.cancel(message);
        return future;
    }
    template <class F>
    static std::string cancel_message(F&& f) {
        try {
            f();
        } catch (const CancelledError& e) {
            return e.message();
        }
        return "not cancelled";
    }
    auto note(std::string word) {
        return [this, word](Future<int>&) { log.push_back(word); };
    }

    std::unique_ptr<EventLoop> owned = testing::make_virtual_loop();
    EventLoop& loop = *owned;
    testing::ErrorLog errors{loop};
    Log log;
};

// --- states ------------------------------------------------------------------------------------

TEST_F(FutureTest, FUT_01_a_new_future_is_pending) {
    const Future<int> future = pending();
    EXPECT_FALSE(future.done());
    EXPECT_FALSE(future.cancelled());
    EXPECT_TRUE(future.valid());
}

TEST_F(FutureTest, FUT_02_without_a_loop_it_binds_to_the_running_one) {
    EXPECT_THROW((void)Future<int>(), std::logic_error);
    loop.call_soon([&] {
        const Future<int> future;
        EXPECT_EQ(&future.get_loop(), &loop);
    });
    iterate();
}

TEST_F(FutureTest, FUT_03_reading_a_pending_future_is_an_invalid_state) {
    const Future<int> future = pending();
    EXPECT_THROW(future.result(), InvalidStateError);
    EXPECT_THROW((void)future.exception(), InvalidStateError);
    EXPECT_THROW((void)Future<int>(future).result(), InvalidStateError);
    EXPECT_FALSE(future.done());
}

TEST_F(FutureTest, FUT_04_set_result_completes_it) {
    const Future<std::string> future = pending<std::string>();
    future.set_result(3, 'x');
    EXPECT_TRUE(future.done());
    EXPECT_FALSE(future.cancelled());
    EXPECT_EQ(future.result(), "xxx");
    EXPECT_EQ(future.exception(), nullptr);
    const Future<> nothing = pending<void>();
    nothing.set_result();
    nothing.result();
    const Future<std::unique_ptr<int>> moving = pending<std::unique_ptr<int>>();
    moving.set_result(std::make_unique<int>(5));
    EXPECT_EQ(*moving.result(), 5);
    EXPECT_EQ(*Future<std::unique_ptr<int>>(moving).result(), 5);
}

TEST_F(FutureTest, FUT_05_set_exception_completes_it) {
    const Future<int> future = with_error("bad");
    EXPECT_TRUE(future.done());
    EXPECT_FALSE(future.cancelled());
    EXPECT_THROW(future.result(), std::runtime_error);
    EXPECT_EQ(describe(future.exception()), "std::runtime_error: bad");
    const Future<int> from_pointer = pending();
    from_pointer.set_exception(std::make_exception_ptr(std::invalid_argument("x")));
    EXPECT_THROW(from_pointer.result(), std::invalid_argument);
    const Future<int> no_exception = pending();
    EXPECT_THROW(no_exception.set_exception(std::exception_ptr()), std::invalid_argument);
    EXPECT_FALSE(no_exception.done());
}

TEST_F(FutureTest, FUT_06_completing_twice_is_an_invalid_state) {
    for (Future<int> future : {with_result(1), with_error("x"), with_cancel("y")}) {
        EXPECT_THROW(future.set_result(2), InvalidStateError);
        EXPECT_THROW(future.set_exception(std::runtime_error("z")), InvalidStateError);
    }
    Future<int> future = with_result(1);
    EXPECT_THROW(future.set_result(2), InvalidStateError);
    EXPECT_EQ(future.result(), 1);
    errors.clear();
}

TEST_F(FutureTest, FUT_06_a_result_whose_constructor_throws_leaves_it_pending) {
    struct Thrower {
        explicit Thrower(bool bad) {
            if (bad) throw std::runtime_error("no");
        }
    };
    const Future<Thrower> future = pending<Thrower>();
    EXPECT_THROW(future.set_result(true), std::runtime_error);
    EXPECT_FALSE(future.done());
    future.set_result(false);
    EXPECT_TRUE(future.done());
}

TEST_F(FutureTest, FUT_07_cancel_completes_a_pending_future_only) {
    const Future<int> future = pending();
    EXPECT_TRUE(future.cancel());
    EXPECT_TRUE(future.done());
    EXPECT_TRUE(future.cancelled());
    EXPECT_FALSE(future.cancel("again"));
    const Future<int> done = with_result(1);
    EXPECT_FALSE(done.cancel());
    EXPECT_FALSE(done.cancelled());
    EXPECT_EQ(done.result(), 1);
    EXPECT_FALSE(with_error("x").cancel());
}

TEST_F(FutureTest, FUT_08_a_cancelled_future_raises_cancelled_error_with_the_message) {
    const Future<int> future = with_cancel("why");
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(cancel_message([&] { future.result(); }), "why");
        EXPECT_EQ(cancel_message([&] { (void)future.exception(); }), "why");
    }
    future.cancel("too late");
    EXPECT_EQ(cancel_message([&] { future.result(); }), "why");
    EXPECT_EQ(cancel_message([&] { with_cancel("").result(); }), "");
}

TEST_F(FutureTest, FUT_20_get_loop_gives_the_bound_loop_while_it_lives) {
    const Future<int> future = pending();
    EXPECT_EQ(&future.get_loop(), &loop);
    loop.close();
    EXPECT_EQ(&future.get_loop(), &loop);
    EXPECT_FALSE(AnyFuture().valid());
    owned.reset();
    EXPECT_THROW(future.get_loop(), std::logic_error);
}

TEST_F(FutureTest, copies_are_the_same_future) {
    const Future<int> a = pending();
    const Future<int> b = a;
    EXPECT_EQ(a, b);
    EXPECT_FALSE(a == pending());
    b.set_result(4);
    EXPECT_EQ(a.result(), 4);
    static_assert(std::is_convertible_v<Future<int>, AnyFuture>);
}

TEST_F(FutureTest, a_description_for_logs) {
    EXPECT_EQ(pending().core().description(), "<Future pending>");
    EXPECT_EQ(with_result(1).core().description(), "<Future finished>");
    EXPECT_EQ(with_cancel("").core().description(), "<Future cancelled>");
    const Future<int> failed = with_error("bad");
    EXPECT_EQ(failed.core().description(), "<Future failed exception=std::runtime_error: bad>");
    EXPECT_NE(failed.exception(), nullptr);
}

TEST_F(FutureTest, FUT_23_DBG_05_a_report_says_where_the_future_was_created) {
    std::string here = __FILE__ ":" + std::to_string(__LINE__ + 1);
    loop.create_future<int>().set_exception(std::runtime_error("lost"));
    ASSERT_EQ(errors.reports().size(), 1U);
    EXPECT_EQ(errors.reports()[0].source_location, here);
}

// --- done callbacks ----------------------------------------------------------------------------

TEST_F(FutureTest, FUT_09_callbacks_run_once_in_order_with_the_future_through_the_loop) {
    const Future<int> future = pending();
    future.add_done_callback([&](Future<int>& f) {
        EXPECT_EQ(f, future);
        log.push_back("1:" + std::to_string(f.result()));
    });
    future.add_done_callback(note("2"));
    future.add_done_callback(note("3"));
    iterate();
    EXPECT_EQ(log, Log{});
    future.set_result(7);
    EXPECT_EQ(log, Log{});
    loop.call_soon([&] { log.push_back("after"); });
    iterate();
    iterate();
    EXPECT_EQ(log, (Log{"1:7", "2", "3", "after"}));
}

TEST_F(FutureTest, FUT_09_cancel_and_set_exception_call_them_too) {
    const Future<int> cancelled = pending();
    const Future<int> failed = pending();
    cancelled.add_done_callback(note("cancelled"));
    failed.add_done_callback(note("failed"));
    failed.set_exception(std::runtime_error("x"));
    cancelled.cancel();
    iterate();
    EXPECT_EQ(log, (Log{"failed", "cancelled"}));
    EXPECT_NE(failed.exception(), nullptr);
}

TEST_F(FutureTest, FUT_10_a_callback_added_to_a_done_future_is_scheduled) {
    const Future<int> future = with_result(1);
    future.add_done_callback(note("callback"));
    EXPECT_EQ(log, Log{});
    iterate();
    EXPECT_EQ(log, Log{"callback"});
}

TEST_F(FutureTest, FUT_11_the_same_callback_twice_is_called_twice) {
    const Future<int> future = pending();
    const auto callback = note("called");
    future.add_done_callback(callback);
    future.add_done_callback(callback);
    future.set_result(1);
    iterate();
    EXPECT_EQ(log, (Log{"called", "called"}));
}

TEST_F(FutureTest, FUT_12_removing_by_number_tells_whether_it_was_there) {
    // C++ callables cannot be compared: each registration has its number instead.
    const Future<int> future = pending();
    const auto owned_by_callback = std::make_shared<int>(0);
    const auto first =
        future.add_done_callback([owned_by_callback](Future<int>&) { FAIL() << "was removed"; });
    const auto second = future.add_done_callback(note("second"));
    EXPECT_NE(first, second);
    EXPECT_EQ(future.remove_done_callback(first), 1U);
    EXPECT_EQ(owned_by_callback.use_count(), 1);
    EXPECT_EQ(future.remove_done_callback(first), 0U);
    EXPECT_EQ(future.remove_done_callback(99999), 0U);
    EXPECT_EQ(pending().remove_done_callback(second), 0U);
    future.set_result(1);
    iterate();
    EXPECT_EQ(log, Log{"second"});
}

TEST_F(FutureTest, FUT_13_FUT_14_callbacks_add_and_remove_while_they_run) {
    const Future<int> future = pending();
    std::uint64_t second = 0;
    future.add_done_callback([&](Future<int>& f) {
        log.push_back("first");
        EXPECT_EQ(f.remove_done_callback(second), 0U);  // it is scheduled already
        f.add_done_callback(note("added"));
    });
    second = future.add_done_callback(note("second"));
    future.set_result(1);
    EXPECT_EQ(future.remove_done_callback(second), 0U);
    iterate();
    EXPECT_EQ(log, (Log{"first", "second"}));
    iterate();
    EXPECT_EQ(log, (Log{"first", "second", "added"}));
}

TEST_F(FutureTest, a_callbacks_destructor_may_use_the_future) {
    Future<int> future = pending();
    struct Meddler {
        Meddler(Future<int> f, Log& l) : self(std::make_shared<Body>(f.ref().get(), l)) {}
        void operator()(Future<int>&) const {}
        struct Body {
            Body(task::FutureCore* f, Log& l) : future(f), log(l) {}
            ~Body() { log.push_back(future->done() ? "done" : "pending"); }
            task::FutureCore* future;
            Log& log;
        };
        std::shared_ptr<Body> self;
    };
    future.add_done_callback(Meddler(future, log));
    const auto number = future.add_done_callback(Meddler(future, log));
    future.remove_done_callback(number);
    future = with_result(1);  // destroys the pending one
    EXPECT_EQ(log, (Log{"pending", "pending"}));
}

TEST_F(FutureTest, a_callback_that_owns_its_future_is_released_with_the_loop) {
    const auto alive = std::make_shared<int>(0);
    {
        const Future<int> done = with_result(1);
        done.add_done_callback([done, alive](Future<int>&) {});
    }
    EXPECT_EQ(alive.use_count(), 2);
    loop.close();
    EXPECT_EQ(alive.use_count(), 1);
}

TEST_F(FutureTest, an_exception_of_a_callback_is_reported) {
    const Future<int> future = with_result(1);
    future.add_done_callback([](Future<int>&) { throw std::runtime_error("bad"); });
    future.add_done_callback(note("next"));
    iterate();
    EXPECT_EQ(errors.exceptions(), std::vector<std::string>{"std::runtime_error: bad"});
    EXPECT_EQ(log, Log{"next"});
}

TEST_F(FutureTest, futures_outlive_their_loop) {
    const Future<int> to_complete = pending();
    const Future<int> to_cancel = pending();
    const auto alive = std::make_shared<int>(0);
    to_complete.add_done_callback([alive](Future<int>&) { FAIL(); });
    to_cancel.add_done_callback([alive](Future<int>&) { FAIL(); });
    loop.close();
    to_complete.set_result(1);
    // Once: a callback nobody would ever run or release.
    EXPECT_THROW(to_complete.add_done_callback([alive](Future<int>&) {}), std::logic_error);
    owned.reset();
    to_cancel.cancel();
    EXPECT_EQ(to_complete.result(), 1);
    EXPECT_TRUE(to_cancel.cancelled());
    EXPECT_EQ(alive.use_count(), 1);
    EXPECT_THROW(to_cancel.add_done_callback([](Future<int>&) {}), std::logic_error);
}

// --- awaiting ----------------------------------------------------------------------------------

TEST_F(FutureTest, FUT_15_awaiting_a_done_future_does_not_give_up_control) {
    const auto body = [&]() -> Coro<> {
        const Future<int> done = with_result(5);
        loop.call_soon([&] { log.push_back("other"); });
        for (int i = 0; i < 1000; ++i) {
            const int value = co_await done;
            EXPECT_EQ(value, 5);
        }
        log.push_back("awaited");
        co_await sleep(0s);
    };
    loop.run_until_complete(body());
    EXPECT_EQ(log, (Log{"awaited", "other"}));
}

TEST_F(FutureTest, FUT_16_all_who_wait_are_resumed_in_the_order_they_began) {
    const Future<int> future = pending();
    const auto waiter = [&](std::string name) -> Coro<> {
        const int value = co_await future;
        log.push_back(name + std::to_string(value));
    };
    const auto body = [&]() -> Coro<> {
        auto a = create_task(waiter("a"));
        auto b = create_task(waiter("b"));
        auto c = create_task(waiter("c"));
        co_await sleep(1s);
        EXPECT_EQ(log, Log{});
        future.set_result(1);
        EXPECT_EQ(log, Log{});
        co_await sleep(0s);
    };
    loop.run_until_complete(body());
    EXPECT_EQ(log, (Log{"a1", "b1", "c1"}));
}

TEST_F(FutureTest, FUT_17_awaiting_again_gives_the_same_again) {
    const auto body = [&]() -> Coro<> {
        const Future<int> good = with_result(1);
        const Future<int> bad = with_error("x");
        for (int i = 0; i < 3; ++i) {
            const int value = co_await good;
            EXPECT_EQ(value, 1);
            std::string caught;
            try {
                co_await bad;
            } catch (const std::runtime_error& e) {
                caught = e.what();
            }
            EXPECT_EQ(caught, "x");
        }
    };
    loop.run_until_complete(body());
}

TEST_F(FutureTest, FUT_17_awaiting_a_named_future_keeps_the_result_a_temporary_moves_it) {
    const auto body = [&]() -> Coro<> {
        const Future<std::string> named = pending<std::string>();
        named.set_result("text");
        std::string& in_place = co_await named;
        EXPECT_EQ(&in_place, &named.result());
        const std::string copied = co_await Future<std::string>(named);  // others can see it
        EXPECT_EQ(copied, named.result());
        Future<std::unique_ptr<int>> moving = pending<std::unique_ptr<int>>();
        moving.set_result(std::make_unique<int>(1));
        const std::unique_ptr<int> moved = co_await std::move(moving);
        EXPECT_EQ(*moved, 1);
    };
    loop.run_until_complete(body());
}

TEST_F(FutureTest, FUT_18_cancelling_one_waiting_task_cancels_the_future_and_all_who_wait) {
    const Future<int> future = pending();
    const auto waiter = [&](std::string name) -> Coro<> {
        try {
            co_await future;
        } catch (const CancelledError& e) {
            log.push_back(name + ":" + e.message());
            throw;
        }
    };
    const auto body = [&]() -> Coro<> {
        auto a = create_task(waiter("a"));
        auto b = create_task(waiter("b"));
        co_await sleep(1s);
        b.cancel("enough");
        EXPECT_TRUE(future.cancelled());
        co_await sleep(0s);
        EXPECT_TRUE(a.cancelled());
        EXPECT_TRUE(b.cancelled());
    };
    loop.run_until_complete(body());
    EXPECT_EQ(log, (Log{"a:enough", "b:enough"}));
}

TEST_F(FutureTest, an_awaited_future_may_belong_to_nobody_else) {
    const auto body = [&]() -> Coro<int> {
        Future<int> future = pending();
        loop.call_soon([future] { future.set_result(3); });
        co_return co_await std::move(future);
    };
    EXPECT_EQ(loop.run_until_complete(body()), 3);
}

TEST_F(FutureTest, awaiting_a_future_of_another_loop_is_refused) {
    auto other = testing::make_virtual_loop();
    const Future<int> foreign = other->create_future<int>();
    const auto body = [&]() -> Coro<> { co_await foreign; };
    EXPECT_THROW(loop.run_until_complete(body()), std::logic_error);
    other->close();
}

// --- reports -----------------------------------------------------------------------------------

TEST_F(FutureTest, EXC_07_an_exception_nobody_retrieved_is_reported_once_with_the_last_handle) {
    Future<int> future = with_error("lost");
    Future<int> copy = future;
    future = with_result(1);
    iterate();
    EXPECT_TRUE(errors.reports().empty());
    copy = with_result(2);
    EXPECT_EQ(errors.messages(), std::vector<std::string>{"Future exception was never retrieved"});
    EXPECT_EQ(errors.exceptions(), std::vector<std::string>{"std::runtime_error: lost"});
    EXPECT_EQ(errors.reports()[0].future, "<Future failed exception=std::runtime_error: lost>");
    iterate();
    EXPECT_EQ(errors.reports().size(), 1U);
}

TEST_F(FutureTest, EXC_07_a_task_is_reported_as_a_task) {
    const auto body = [&]() -> Coro<> {
        {
            auto task = create_task([]() -> Coro<> {
                co_await sleep(1s);
                throw std::runtime_error("lost");
            });
            co_await sleep(2s);
            EXPECT_TRUE(errors.reports().empty());
        }
        EXPECT_EQ(errors.messages(),
                  std::vector<std::string>{"Task exception was never retrieved"});
        EXPECT_NE(errors.reports()[0].future.find("<Task failed"), std::string::npos);
    };
    loop.run_until_complete(body());
}

TEST_F(FutureTest, EXC_08_whoever_looks_at_it_suppresses_the_report) {
    EXPECT_THROW(with_error("x").result(), std::runtime_error);
    EXPECT_NE(with_error("x").exception(), nullptr);
    with_error("x").cancel();
    const auto body = [&]() -> Coro<> {
        try {
            co_await with_error("x");
        } catch (const std::runtime_error&) {
            co_return;
        }
    };
    loop.run_until_complete(body());
    EXPECT_TRUE(errors.reports().empty());
}

TEST_F(FutureTest, EXC_07_after_the_loop_is_gone_the_report_goes_to_the_log) {
    const testing::LogLines lines;
    {
        const Future<int> future = with_error("late");
        loop.close();
        owned.reset();
    }
    EXPECT_TRUE(lines.contains("Future exception was never retrieved", LogLevel::error));
    EXPECT_TRUE(errors.reports().empty());
}

TEST_F(FutureTest, a_fatal_exception_of_the_handler_cannot_leave_a_destructor) {
    const testing::LogLines lines;
    loop.set_exception_handler([](EventLoop&, const ExceptionContext&) { throw SystemExit(1); });
    {
        const Future<int> future = with_error("lost");
    }
    EXPECT_TRUE(lines.contains("SystemExit", LogLevel::error));
}

TEST_F(FutureTest, FUT_21_unread_results_and_pending_futures_report_nothing) {
    {
        const Future<int> future = pending();
    }
    {
        const Future<int> future = with_result(1);
    }
    {
        const Future<int> future = with_cancel("x");
    }
    EXPECT_TRUE(errors.reports().empty());
}

// --- types -------------------------------------------------------------------------------------

template <class F, class V>
concept Settable = requires(F future, V value) { future.set_result(value); };
template <class F, class C>
concept Callback = requires(F future, C callback) { future.add_done_callback(callback); };

static_assert(Settable<Future<int>, int>);
static_assert(!Settable<Task<int>, int>);  // a task completes itself
static_assert(!std::is_copy_constructible_v<task::FutureCore>);

}  // namespace
}  // namespace asyncio
