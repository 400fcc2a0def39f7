// SPDX-License-Identifier: MIT
//
// to_thread and run_in_executor, seen from the loop.
#include <asyncio/base/context_var.hpp>
#include <asyncio/os/cpu.hpp>
#include <asyncio/thread/thread_fixture_test.hpp>

#include <atomic>
#include <memory>
#include <numeric>
#include <stdexcept>

namespace asyncio {
namespace {

using namespace thread_tests;

TEST(ToThread, THR_01_run_in_executor_runs_elsewhere_and_gives_result_or_exception) {
    asyncio::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        ThreadPoolExecutor pool(1);
        const auto here = std::this_thread::get_id();
        auto there = loop.run_in_executor(pool, [] { return std::this_thread::get_id(); });
        EXPECT_NE(co_await there, here);
        const auto sum = co_await loop.run_in_executor(&pool, std::plus<int>(), 40, 2);
        EXPECT_EQ(sum, 42);
        auto fails = loop.run_in_executor(pool, [] { throw std::runtime_error("bad"); });
        const auto outcome = co_await as_outcome(fails);
        EXPECT_EQ(error_of(outcome), "std::runtime_error: bad");
    });
}

TEST(ToThread, THR_02_the_default_executor_is_made_on_first_use_and_can_be_replaced) {
    asyncio::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        EXPECT_EQ(loop.find_service<thread::DefaultExecutor>(), nullptr);
        const std::string name = co_await to_thread(&os::name_of_this_thread);
        EXPECT_EQ(name, "asyncio_0");
        loop.set_default_executor(std::make_shared<ThreadPoolExecutor>(1, "mine"));
        const std::string other = co_await to_thread(&os::name_of_this_thread);
        EXPECT_EQ(other, "mine_0");
        EXPECT_THROW(loop.set_default_executor(nullptr), std::invalid_argument);
    });
    // Only a thread pool can be given; another executor does not compile.
    static_assert(
        !std::is_convertible_v<std::shared_ptr<Executor>, std::shared_ptr<ThreadPoolExecutor>>);
}

TEST(ToThread, THR_03_cancelling_before_the_start_prevents_it) {
    asyncio::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        ThreadPoolExecutor pool(1);
        Blocker busy(pool);
        const auto owned = std::make_shared<int>(0);
        auto future = loop.run_in_executor(pool, [owned] { ADD_FAILURE() << "it ran"; });
        EXPECT_EQ(owned.use_count(), 2);
        EXPECT_TRUE(future.cancel());
        EXPECT_EQ(owned.use_count(), 1);  // released at once
        EXPECT_TRUE(future.cancelled());
        EXPECT_FALSE(future.cancel());
        busy.release();
        co_await loop.run_in_executor(pool, [] {});  // behind the cancelled one
    });
}

TEST(ToThread, THR_03_cancelling_after_the_start_drops_the_result) {
    asyncio::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        ThreadPoolExecutor pool(1);
        Gate entered;
        Gate leave;
        bool finished = false;
        auto future = loop.run_in_executor(pool, [&] {
            entered.open();
            leave.pass();
            finished = true;
            return std::make_unique<int>(1);
        });
        entered.pass();
        EXPECT_TRUE(future.cancel());
        EXPECT_TRUE(future.cancelled());
        leave.open();
        pool.shutdown();
        EXPECT_TRUE(finished);
        for (int i = 0; i < 3; ++i) co_await sleep(0s);
        EXPECT_TRUE(future.cancelled());
    });
}

struct Adder {
    int base;
    int add(int x) const { return base + x; }
};

TEST(ToThread, THR_04_arguments_move_in_and_results_and_exceptions_come_back) {
    asyncio::run([]() -> Coro<> {
        auto owned = std::make_unique<int>(41);
        const int next =
            co_await to_thread([](std::unique_ptr<int> p) { return *p + 1; }, std::move(owned));
        EXPECT_EQ(next, 42);
        const Adder adder{2};
        EXPECT_EQ(co_await to_thread(&Adder::add, &adder, 3), 5);
        std::unique_ptr<int> made = co_await to_thread([] { return std::make_unique<int>(7); });
        EXPECT_EQ(*made, 7);
        const int local = 3;
        const auto by_reference = [&]() -> const int& { return local; };
        static_assert(std::is_same_v<AwaitResult<decltype(to_thread(by_reference))>, int>);
        EXPECT_EQ(co_await to_thread(by_reference), 3);  // a copy
        co_await to_thread([] {});
        const auto outcome = co_await as_outcome(to_thread([] { throw std::out_of_range("far"); }));
        EXPECT_EQ(error_of(outcome), "std::out_of_range: far");
    });
}

TEST(ToThread, THR_04_a_result_is_moved_never_copied) {
    struct Counting {
        Counting() = default;
        Counting(const Counting& other) : copies(other.copies + 1) {}
        Counting(Counting&& other) noexcept : copies(other.copies) {}
        Counting& operator=(const Counting&) = delete;
        int copies = 0;
    };
    asyncio::run([]() -> Coro<> {
        for (int i = 0; i < 100; ++i) {
            const Counting result = co_await to_thread([] { return Counting(); });
            EXPECT_EQ(result.copies, 0);
        }
    });
}

TEST(ToThread, THR_04_function_and_arguments_die_in_the_thread) {
    struct Witness {
        explicit Witness(std::thread::id& id) : died_in(&id) {}
        Witness(Witness&& other) noexcept : died_in(std::exchange(other.died_in, nullptr)) {}
        ~Witness() {
            if (died_in != nullptr) *died_in = std::this_thread::get_id();
        }
        std::thread::id* died_in;
    };
    asyncio::run([]() -> Coro<> {
        std::thread::id argument;
        std::thread::id there;
        auto work = [&there](const Witness&) { there = std::this_thread::get_id(); };
        co_await to_thread(work, Witness(argument));
        EXPECT_EQ(argument, there);
        EXPECT_NE(argument, std::this_thread::get_id());
    });
}

TEST(ToThread, nothing_happens_before_it_is_awaited) {
    asyncio::run([]() -> Coro<> {
        bool ran = false;
        {
            const auto work = [&] { ran = true; };
            auto never = to_thread(work);
            EXPECT_TRUE(never.valid());
        }
        EXPECT_EQ(get_running_loop().find_service<thread::DefaultExecutor>(), nullptr);
        EXPECT_FALSE(ran);
        co_return;
    });
}

TEST(ToThread, CTX_06_a_copy_of_the_context_goes_along_unless_the_executor_is_named) {
    static ContextVar<std::string> request("none");
    asyncio::run([]() -> Coro<> {
        request.set("42");
        const std::string seen = co_await to_thread([] {
            std::string before = request.get();
            request.set("changed");
            return before;
        });
        EXPECT_EQ(seen, "42");
        EXPECT_EQ(request.get(), "42");
        EventLoop& loop = get_running_loop();
        const std::string plain =
            co_await loop.run_in_executor(nullptr, [] { return request.get(); });
        EXPECT_EQ(plain, "none");
    });
}

TEST(ToThread, THR_05_ten_calls_run_concurrently_each_once) {
    asyncio::run([]() -> Coro<> {
        // Each waits for all: they end only if they run at the same time.
        get_running_loop().set_default_executor(std::make_shared<ThreadPoolExecutor>(10));
        std::atomic<int> arrived{0};
        Gate all;
        std::vector<Coro<int>> calls;
        for (int i = 0; i < 10; ++i)
            calls.push_back(to_thread(
                [&](int n) {
                    if (++arrived == 10) all.open();
                    all.pass();
                    return n;
                },
                i));
        const std::vector<int> results = co_await gather(std::move(calls));
        EXPECT_EQ(std::accumulate(results.begin(), results.end(), 0), 45);
        EXPECT_EQ(arrived, 10);
    });
}

TEST(ToThread, THR_06_cancelling_resumes_the_caller_at_once) {
    asyncio::run([]() -> Coro<> {
        Gate entered;
        Gate leave;
        std::atomic<bool> finished{false};
        Task<> task = create_task(to_thread([&] {
            entered.open();
            leave.pass();
            finished = true;
        }));
        co_await sleep(0s);
        entered.pass();
        task.cancel("enough");
        const auto outcome = co_await as_outcome(task);
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_FALSE(finished);
        leave.open();
        const auto is_finished = [&] { return finished.load(); };
        const bool seen = co_await until(is_finished);
        EXPECT_TRUE(seen);
    });
}

TEST(ToThread, THR_06_a_queued_call_that_is_cancelled_never_starts) {
    asyncio::run([]() -> Coro<> {
        auto pool = std::make_shared<ThreadPoolExecutor>(1);
        get_running_loop().set_default_executor(pool);
        Blocker busy(*pool);
        Task<> task = create_task(to_thread([] { ADD_FAILURE() << "it ran"; }));
        co_await sleep(0s);
        task.cancel();
        EXPECT_TRUE((co_await as_outcome(task)).cancelled());
        busy.release();
        co_await to_thread([] {});
    });
}

TEST(ToThread, THR_07_shutdown_waits_for_what_runs_without_blocking_the_loop) {
    asyncio::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Gate entered;
        Gate leave;
        std::atomic<bool> finished{false};
        auto running = loop.run_in_executor(nullptr, [&] {
            entered.open();
            leave.pass();
            finished = true;
        });
        entered.pass();
        Task<> shutdown = create_task(loop.shutdown_default_executor());
        for (int i = 0; i < 100; ++i) co_await sleep(0s);  // the loop turns
        EXPECT_FALSE(shutdown.done());
        leave.open();
        co_await shutdown;
        EXPECT_TRUE(finished);
        co_await running;
        co_await loop.shutdown_default_executor();  // again: nothing to do
    });
}

TEST(ToThread, THR_08_shutdown_with_a_timeout_warns_and_gives_up) {
    testing::LogLines lines;
    Gate leave;
    std::atomic<bool> finished{false};
    asyncio::run([&]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Gate entered;
        auto running = loop.run_in_executor(nullptr, [&] {
            entered.open();
            leave.pass();
            finished = true;
        });
        entered.pass();
        co_await loop.shutdown_default_executor(1ms);
        EXPECT_FALSE(finished);
        EXPECT_TRUE(lines.contains("The executor did not finish joining its threads within"));
        leave.open();
        co_await running;  // it is still heard of
        EXPECT_TRUE(finished);
    });
}

TEST(ToThread, THR_08_cancelling_the_shutdown_leaves_the_pool_to_itself) {
    asyncio::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        auto pool = std::make_shared<ThreadPoolExecutor>(1);
        loop.set_default_executor(pool);
        {
            Blocker busy(*pool);
            Task<> shutdown = create_task(loop.shutdown_default_executor());
            co_await sleep(0s);
            shutdown.cancel();
            EXPECT_TRUE((co_await as_outcome(shutdown)).cancelled());
            EXPECT_FALSE(pool->finished().cancelled());
        }
        co_await loop.shutdown_default_executor();
        EXPECT_TRUE(pool->finished().done());
    });
}

TEST(ToThread, THR_09_after_the_shutdown_only_explicit_executors_work) {
    asyncio::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        co_await loop.shutdown_default_executor();
        const auto outcome = co_await as_outcome(to_thread([] {}));
        EXPECT_EQ(error_of(outcome), "std::logic_error: Executor shutdown has been called");
        EXPECT_THROW((void)loop.run_in_executor(nullptr, [] {}), std::logic_error);
        ThreadPoolExecutor pool(1);
        EXPECT_EQ(co_await loop.run_in_executor(pool, [] { return 1; }), 1);
    });
}

TEST(ToThread, RUN_09_run_waits_for_the_default_executor_before_it_closes_the_loop) {
    static_assert(thread::DefaultExecutor::kShutdownTimeout == 300s);
    std::atomic<int> finished{0};
    asyncio::run([&]() -> Coro<> {
        for (int i = 0; i < 3; ++i)
            (void)get_running_loop().run_in_executor(nullptr, [&] {
                for (int turn = 0; turn < 100; ++turn) std::this_thread::yield();
                ++finished;
            });
        co_return;
    });
    EXPECT_EQ(finished, 3);
}

TEST(ToThread, THR_10_a_loop_closed_meanwhile_hears_nothing) {
    Gate leave;
    ThreadPoolExecutor pool(1);
    {
        EventLoop loop;
        auto running = loop.run_in_executor(pool, [&] {
            leave.pass();
            return 1;
        });
        running.add_done_callback([](Future<int>&) { ADD_FAILURE() << "called back"; });
        loop.close();
        EXPECT_FALSE(running.done());
        leave.open();
        pool.shutdown();
        EXPECT_FALSE(running.done());
        EXPECT_THROW((void)loop.run_in_executor(pool, [] {}), std::logic_error);
    }
}

TEST(ToThread, THR_10_closing_races_with_completion) {
    for (int round = 0; round < 300; ++round) {
        ThreadPoolExecutor pool(2);
        EventLoop loop;
        std::vector<Future<std::string>> futures;
        for (int i = 0; i < 4; ++i)
            futures.push_back(loop.run_in_executor(pool, [] { return std::string(100, 'x'); }));
        if (round % 3 == 0) {
            loop.stop();
            loop.run_forever();
        }
        loop.close();
        for (const auto& future : futures)
            if (future.done()) {
                EXPECT_EQ(future.result().size(), 100u);
            }
    }
}

TEST(ToThread, the_loops_close_does_not_wait_for_the_default_executor) {
    Gate entered;
    Gate leave;
    auto pool = std::make_shared<ThreadPoolExecutor>(1);
    {
        EventLoop loop;
        loop.set_default_executor(pool);
        (void)loop.run_in_executor(nullptr, [&] {
            entered.open();
            leave.pass();
        });
        entered.pass();
        loop.close();
    }
    EXPECT_THROW((void)pool->submit([] {}), std::logic_error);
    leave.open();
    pool->finished().wait();
}

TEST(ToThread, storms_of_calls_and_cancellations_conserve_calls) {
    asyncio::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        auto pool = std::make_shared<ThreadPoolExecutor>(3);
        loop.set_default_executor(pool);
        constexpr int kCalls = 3000;
        std::atomic<int> started{0};
        std::atomic<int> ended{0};
        int returned = 0;
        int cancelled = 0;
        const auto one_call = [&](int i) -> Coro<> {
            Task<int> call = create_task(to_thread([&, i] {
                ++started;
                if (i % 7 == 0) std::this_thread::yield();
                ++ended;
                return i;
            }));
            for (int turn = i % 5; turn > 0; --turn) co_await sleep(0s);
            if (i % 2 == 0) call.cancel();
            const auto outcome = co_await as_outcome(std::move(call));
            if (outcome) {
                EXPECT_EQ(*outcome, i);
            }
            ++(outcome ? returned : cancelled);
        };
        for (int done = 0; done < kCalls; done += 100) {
            std::vector<Task<>> batch;
            for (int i = 0; i < 100; ++i) batch.push_back(create_task(one_call, done + i));
            co_await gather(std::move(batch));
        }
        co_await loop.shutdown_default_executor();
        EXPECT_EQ(returned + cancelled, kCalls);
        EXPECT_EQ(started, ended);
        EXPECT_GE(started, returned);
        EXPECT_GT(cancelled, 0);
        EXPECT_GT(returned, 0);
    });
}

}  // namespace
}  // namespace asyncio
