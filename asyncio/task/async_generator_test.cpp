// SPDX-License-Identifier: MIT
#include <asyncio/task/async_generator.hpp>
#include <asyncio/task/async_iterator.hpp>
#include <asyncio/task/call_graph.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task_fixture_test.hpp>

#include <memory>

namespace asyncio {
namespace {

using namespace task_tests;

AsyncGenerator<int> count_to(int n) {
    for (int i = 1; i <= n; ++i) co_yield i;
}

AsyncGenerator<int> slow_count_to(int n) {
    for (int i = 1; i <= n; ++i) {
        co_await sleep(1s);
        co_yield i;
    }
}

/// Notes its end: by a destructor, and by an exit it was asked for, which it awaits.
struct Noted {
    explicit Noted(Events& e) noexcept : events(e) {}
    Noted(const Noted&) = delete;
    ~Noted() { events.push_back("destroyed"); }
    Events& events;
};

AsyncGenerator<int> with_cleanup_inside(Events& events, Duration cleanup = 0s) {
    const Noted noted(events);
    bool asked = false;
    try {
        for (int i = 0;; ++i) co_yield i;
    } catch (const GeneratorExit&) {
        asked = true;
    }
    if (asked) {
        co_await sleep(cleanup);
        events.push_back("cleaned up");
    }
}

AsyncGenerator<int> fails_after(int n) {
    for (int i = 1; i <= n; ++i) co_yield i;
    throw std::runtime_error("out of numbers");
}

TEST(AsyncGenerators, yields_values_and_ends) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        auto gen = slow_count_to(3);
        std::vector<int> seen;
        while (auto value = co_await gen.next()) seen.push_back(*value);
        EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
        EXPECT_EQ(get_running_loop().time() - start, 3s);
        const auto after = co_await gen.next();
        EXPECT_FALSE(after.has_value());
    });
}

TEST(AsyncGenerators, is_lazy_and_takes_no_iteration_of_the_loop) {
    testing::run([]() -> Coro<> {
        Events events;
        {
            auto unused = with_cleanup_inside(events);
        }
        EXPECT_TRUE(events.empty());
        Iterations iterations;
        auto gen = count_to(100000);
        int sum = 0;
        while (auto value = co_await gen.next()) sum += *value % 2;
        EXPECT_EQ(sum, 50000);
        EXPECT_EQ(iterations.count(), 0);
    });
}

TEST(AsyncGenerators, move_only_values_and_references) {
    testing::run([]() -> Coro<> {
        const auto pointers = []() -> AsyncGenerator<std::unique_ptr<int>> {
            co_yield std::make_unique<int>(1);
            auto two = std::make_unique<int>(2);
            co_yield std::move(two);
        };
        auto owners = pointers();
        const auto one = co_await owners.next();
        const auto two = co_await owners.next();
        EXPECT_EQ(**one + **two, 3);

        std::vector<std::string> words{"a", "b"};
        const auto each = [](std::vector<std::string>& v) -> AsyncGenerator<std::string&> {
            for (std::string& word : v) co_yield word;
        };
        auto refs = each(words);
        while (auto word = co_await refs.next()) {
            *word += "!";
            EXPECT_EQ(word->size(), 2u);
        }
        EXPECT_EQ(words, (Events{"a!", "b!"}));

        const auto temporaries = []() -> AsyncGenerator<const std::string&> {
            co_yield "a literal that becomes a string";
            co_yield std::string("another");
        };
        auto views = temporaries();
        const auto first = co_await views.next();
        EXPECT_EQ(*first, "a literal that becomes a string");
    });
}

TEST(AsyncGenerators, an_lvalue_is_copied_and_a_convertible_value_converted) {
    testing::run([]() -> Coro<> {
        const auto strings = []() -> AsyncGenerator<std::string> {
            std::string kept = "a string that is too long for the small buffer";
            co_yield kept;
            co_yield kept;
            co_yield "literal";
        };
        const auto all = co_await collect(strings());
        EXPECT_EQ(all.size(), 3u);
        EXPECT_EQ(all[0], all[1]);
        EXPECT_EQ(all[2], "literal");
    });
}

TEST(AsyncGenerators, an_exception_reaches_the_consumer_and_ends_it) {
    testing::run([]() -> Coro<> {
        auto gen = fails_after(1);
        const auto value = co_await gen.next();
        EXPECT_EQ(value, 1);
        const auto outcome = co_await as_outcome(gen.next());
        EXPECT_EQ(error_of(outcome), "std::runtime_error: out of numbers");
        const auto after = co_await gen.next();
        EXPECT_FALSE(after.has_value());
    });
}

TEST(AsyncGenerators, athrow_raises_at_the_yield) {
    testing::run([]() -> Coro<> {
        const auto stubborn = [](Events& events) -> AsyncGenerator<int> {
            for (int i = 0; i < 3; ++i) {
                try {
                    co_yield i;
                } catch (const std::runtime_error& e) {
                    events.push_back(e.what());
                }
            }
        };
        Events events;
        auto gen = stubborn(events);
        const auto error = std::make_exception_ptr(std::runtime_error("x"));
        co_await gen.next();
        const auto caught = co_await gen.athrow(error);
        EXPECT_EQ(caught, 1);
        EXPECT_EQ(events, Events{"x"});
        auto other = count_to(3);
        co_await other.next();
        const auto passed = co_await as_outcome(other.athrow(error));
        EXPECT_EQ(error_of(passed), "std::runtime_error: x");
        const auto over = co_await other.athrow(error);
        EXPECT_FALSE(over.has_value());
        auto unbegun = count_to(3);
        const auto before = co_await as_outcome(unbegun.athrow(error));
        EXPECT_EQ(error_of(before), "std::runtime_error: x");
        const auto after = co_await unbegun.next();
        EXPECT_FALSE(after.has_value());
    });
}

TEST(AsyncGenerators, aclose_runs_cleanup_that_awaits) {
    testing::run([]() -> Coro<> {
        Events events;
        auto gen = with_cleanup_inside(events, 2s);
        co_await gen.next();
        const TimePoint start = get_running_loop().time();
        co_await gen.aclose();
        EXPECT_EQ(get_running_loop().time() - start, 2s);
        EXPECT_EQ(events, (Events{"cleaned up", "destroyed"}));
        const auto after = co_await gen.next();
        EXPECT_FALSE(after.has_value());
        co_await gen.aclose();  // nothing
        auto unbegun = with_cleanup_inside(events);
        co_await unbegun.aclose();
        EXPECT_EQ(events.size(), 2u);
        auto plain = count_to(2);  // does not know of GeneratorExit
        co_await plain.next();
        co_await plain.aclose();
    });
}

TEST(AsyncGenerators, aclose_passes_errors_and_refuses_a_yield) {
    testing::run([]() -> Coro<> {
        const auto ignores = []() -> AsyncGenerator<int> {
            for (int i = 0; i < 2; ++i) {
                try {
                    co_yield i;
                } catch (const GeneratorExit&) {
                }
            }
            throw std::runtime_error("at last");
        };
        auto gen = ignores();
        co_await gen.next();
        const auto refused = co_await as_outcome(gen.aclose());
        EXPECT_EQ(error_of(refused),
                  "std::logic_error: asynchronous generator ignored GeneratorExit");
        const auto failed = co_await as_outcome(gen.aclose());
        EXPECT_EQ(error_of(failed), "std::runtime_error: at last");
    });
}

TEST(AsyncGenerators, one_turn_at_a_time) {
    testing::run([]() -> Coro<> {
        auto gen = slow_count_to(2);
        const auto ask = [&]() -> Coro<std::optional<int>> { co_return co_await gen.next(); };
        Task<std::optional<int>> first = create_task(ask());
        co_await sleep(0s);
        const auto second = co_await as_outcome(gen.next());
        EXPECT_EQ(error_of(second),
                  "std::logic_error: next(): asynchronous generator is already running");
        const auto close = co_await as_outcome(gen.aclose());
        EXPECT_EQ(error_of(close),
                  "std::logic_error: aclose(): asynchronous generator is already running");
        const auto one = co_await first;
        EXPECT_EQ(one, 1);
        const auto two = co_await gen.next();  // of another task than the first turn's
        EXPECT_EQ(two, 2);
    });
}

TEST(AsyncGenerators, cancelling_the_consumer_cancels_what_the_generator_awaits) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto waits = [](Events& e) -> AsyncGenerator<int> {
            co_await note_cancel(e, "inside");
            co_yield 1;
        };
        auto gen = waits(events);
        const auto consume = [&]() -> Coro<> { co_await gen.next(); };
        Task<> task = create_task(consume());
        co_await sleep(0s);
        task.cancel("stop");
        const auto outcome = co_await as_outcome(task);
        EXPECT_EQ(error_of(outcome), "CancelledError: stop");
        EXPECT_EQ(events, Events{"inside cancelled: stop"});
        const auto after = co_await gen.next();
        EXPECT_FALSE(after.has_value());
    });
}

TEST(AsyncGenerators, the_stack_of_a_task_shows_the_generator) {
    testing::run([]() -> Coro<> {
        const auto consume = []() -> Coro<> {
            auto gen = slow_count_to(1);
            co_await gen.next();
        };
        Task<> task = create_task(consume());
        co_await sleep(0s);
        const std::vector<StackFrame> stack = task.get_stack();
        EXPECT_EQ(stack.size(), 2u);
        bool shown = false;
        for (const StackFrame& frame : stack)
            shown = shown || frame.name().ends_with("slow_count_to");
        EXPECT_TRUE(shown);
        co_await task;
    });
}

TEST(AsyncGenerators, nested_to_any_depth_on_a_constant_stack) {
    struct Nest {
        static AsyncGenerator<int> down(int depth) {
            if (depth == 0) {
                co_await sleep(0s);
                co_yield 1;
            } else {
                auto inner = down(depth - 1);
                while (auto value = co_await inner.next()) co_yield *value + 1;
            }
        }
    };
    testing::run([]() -> Coro<> {
        const auto all = co_await collect(Nest::down(20000));
        EXPECT_EQ(all, std::vector<int>{20001});
    });
}

// --- the end
// --------------------------------------------------------------------------------------

TEST(AsyncGenerators, AGEN_03_dropping_one_at_a_yield_destroys_it_at_once) {
    testing::run([]() -> Coro<> {
        Events events;
        {
            auto gen = with_cleanup_inside(events);
            co_await gen.next();
            auto moved = std::move(gen);
            const auto value = co_await moved.next();
            EXPECT_EQ(value, 1);
            const auto none = co_await gen.next();
            EXPECT_FALSE(none.has_value());
            EXPECT_TRUE(events.empty());
        }
        EXPECT_EQ(events, Events{"destroyed"});
        auto assigned = with_cleanup_inside(events);
        co_await assigned.next();
        assigned = with_cleanup_inside(events);
        EXPECT_EQ(events.size(), 2u);
    });
}

TEST(AsyncGenerators, AGEN_03_dropped_while_it_runs_it_goes_after_its_turn) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto slow = [](Events& e) -> AsyncGenerator<int> {
            const Noted noted(e);
            co_await sleep(1s);
            co_yield 1;
        };
        auto gen = std::make_unique<AsyncGenerator<int>>(slow(events));
        const auto consume = [&]() -> Coro<bool> {
            const auto value = co_await gen->next();
            co_return value.has_value();
        };
        Task<bool> task = create_task(consume());
        co_await sleep(0s);
        gen = nullptr;
        EXPECT_TRUE(events.empty());
        const bool had_value = co_await task;
        EXPECT_FALSE(had_value);
        EXPECT_EQ(events, Events{"destroyed"});
    });
}

TEST(AsyncGenerators, closing_the_loop_destroys_what_runs_innermost_first) {
    Events events;
    auto gen = with_cleanup_inside(events);
    {
        auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        const auto waits = [](Events& e) -> AsyncGenerator<int> {
            const Noted noted(e);
            co_await forever();
            co_yield 1;
        };
        loop->run_until_complete([&]() -> Coro<> {
            co_await gen.next();
            (void)create_task([&]() -> Coro<> {
                auto inner = waits(events);
                co_await inner.next();
            });
            co_await sleep(0s);
        });
        loop->close();
        EXPECT_EQ(events, Events{"destroyed"});
        EXPECT_EQ(errors.reports().size(), 1u);
    }
    // `gen` outlived its loop, at a yield; it may still be dropped
}

TEST(AsyncGenerators, AGEN_01_RUN_08_run_closes_those_that_outlive_it_after_the_tasks) {
    Events events;
    std::vector<AsyncGenerator<int>> kept;
    kept.push_back(with_cleanup_inside(events, 2s));
    kept.push_back(with_cleanup_inside(events, 1s));
    kept.push_back(with_cleanup_inside(events));
    {
        Runner runner({.loop_factory = [] { return testing::make_virtual_loop(); }});
        testing::ErrorLog errors(runner.get_loop());
        runner.run([&]() -> Coro<> {
            co_await kept[0].next();
            co_await kept[1].next();
            (void)create_task(
                [](Events& e) -> Coro<> {
                    try {
                        co_await forever();
                    } catch (const CancelledError&) {
                        e.push_back("task");
                        throw std::runtime_error("while it was cancelled");
                    }
                },
                std::ref(events));
            co_await sleep(0s);
        });
        const TimePoint end = runner.get_loop().time();
        runner.close();
        EXPECT_GT(end, TimePoint());
        EXPECT_EQ(errors.messages(), Events{"unhandled exception during asyncio.run() shutdown"});
    }
    EXPECT_EQ(events, (Events{"task", "cleaned up", "destroyed", "cleaned up", "destroyed"}));
    kept.clear();
    EXPECT_EQ(events.size(), 5u);  // the third never began
}

TEST(AsyncGenerators, AGEN_01_shutdown_asyncgens_closes_all_at_once) {
    testing::run([]() -> Coro<> {
        Events events;
        auto a = with_cleanup_inside(events, 3s);
        auto b = with_cleanup_inside(events, 3s);
        co_await a.next();
        co_await b.next();
        const TimePoint start = get_running_loop().time();
        co_await get_running_loop().shutdown_asyncgens();
        EXPECT_EQ(get_running_loop().time() - start, 3s);
        EXPECT_EQ(events.size(), 4u);
        const auto after = co_await a.next();
        EXPECT_FALSE(after.has_value());
    });
}

TEST(AsyncGenerators, AGEN_02_errors_while_closing_are_reported) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        testing::ErrorLog errors(loop);
        const auto bad = []() -> AsyncGenerator<int> {
            try {
                co_yield 1;
            } catch (const GeneratorExit&) {
                throw std::runtime_error("bad end");
            }
        };
        Events events;
        auto a = bad();
        auto b = with_cleanup_inside(events);
        co_await a.next();
        co_await b.next();
        co_await loop.shutdown_asyncgens();
        EXPECT_EQ(errors.exceptions(), Events{"std::runtime_error: bad end"});
        EXPECT_EQ(errors.messages()[0].find("an error occurred during closing of asynchronous"),
                  0u);
        EXPECT_EQ(events, (Events{"cleaned up", "destroyed"}));
        loop.set_exception_handler(nullptr);
    });
}

TEST(AsyncGenerators, one_that_is_dropped_by_the_cleanup_of_another_is_not_closed_again) {
    testing::run([]() -> Coro<> {
        Events events;
        std::unique_ptr<AsyncGenerator<int>> victim;
        const auto drops = [&]() -> AsyncGenerator<int> {
            try {
                co_yield 1;
            } catch (const GeneratorExit&) {
                victim = nullptr;
            }
        };
        auto a = drops();
        victim = std::make_unique<AsyncGenerator<int>>(with_cleanup_inside(events));
        co_await a.next();
        co_await victim->next();
        co_await get_running_loop().shutdown_asyncgens();
        EXPECT_EQ(events, Events{"destroyed"});
    });
}

TEST(AsyncGenerators, AGEN_04_beginning_one_after_the_shutdown_is_warned_about) {
    testing::run([]() -> Coro<> {
        const testing::LogLines log;
        co_await get_running_loop().shutdown_asyncgens();
        auto gen = count_to(1);
        const auto value = co_await gen.next();
        EXPECT_EQ(value, 1);
        EXPECT_TRUE(log.contains("shutdown_asyncgens"));
    });
}

// --- iterators
// ------------------------------------------------------------------------------------

static_assert(AsyncIterator<AsyncGenerator<int>>);
static_assert(AsyncIterator<AsyncGenerator<std::string&>>);
static_assert(!AsyncIterator<std::vector<int>>);
static_assert(
    std::is_same_v<AsyncItem<AsyncGenerator<std::unique_ptr<int>>>, std::unique_ptr<int>>);
static_assert(std::is_same_v<AsyncItem<AsyncGenerator<std::string&>>, std::string&>);

/// No generator, but an iterator.
class Ticks {
  public:
    Coro<std::optional<int>> next() {
        co_await sleep(1s);
        if (n_ == 3) co_return std::nullopt;
        co_return n_++;
    }

  private:
    int n_ = 0;
};

TEST(AsyncIterators, collect_take_map_filter_enumerate) {
    testing::run([]() -> Coro<> {
        const auto even = [](int v) { return v % 2 == 0; };
        const auto square = [](int v) { return v * v; };
        const auto all = co_await collect(map(filter(count_to(6), even), square));
        EXPECT_EQ(all, (std::vector<int>{4, 16, 36}));
        const auto ticks = co_await collect(take(Ticks(), 2));
        EXPECT_EQ(ticks, (std::vector<int>{0, 1}));
        const auto numbered = co_await collect(enumerate(Ticks(), 1));
        EXPECT_EQ(numbered.size(), 3u);
        EXPECT_EQ(numbered[2], (std::pair<std::size_t, int>(3, 2)));
        const auto nothing = co_await collect(take(count_to(3), 0));
        EXPECT_TRUE(nothing.empty());
    });
}

TEST(AsyncIterators, functions_may_be_coroutines_and_take_asks_for_no_more) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        const auto slowly = [](int v) -> Coro<std::string> {
            co_await sleep(1s);
            co_return std::to_string(v);
        };
        const auto odd = [](int v) -> Coro<bool> { co_return v % 2 == 1; };
        const auto words = co_await collect(take(map(filter(count_to(100), odd), slowly), 2));
        EXPECT_EQ(words, (Events{"1", "3"}));
        EXPECT_EQ(get_running_loop().time() - start, 2s);
    });
}

TEST(AsyncIterators, references_pass_through) {
    testing::run([]() -> Coro<> {
        std::vector<std::string> words{"a", "bb", "ccc"};
        const auto each = [](std::vector<std::string>& v) -> AsyncGenerator<std::string&> {
            for (std::string& word : v) co_yield word;
        };
        const auto longer = [](const std::string& word) { return word.size() > 1; };
        auto found = take(filter(each(words), longer), 5);
        while (auto word = co_await found.next()) *word += "!";
        EXPECT_EQ(words, (Events{"a", "bb!", "ccc!"}));
        const auto failing = [](int) -> int { throw std::runtime_error("f"); };
        const auto outcome = co_await as_outcome(collect(map(count_to(3), failing)));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: f");
    });
}

}  // namespace
}  // namespace asyncio
