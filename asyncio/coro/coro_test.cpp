// SPDX-License-Identifier: MIT
#include <asyncio/coro/coro.hpp>
#include <asyncio/coro/run_turns.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <pthread.h>
#include <sys/resource.h>

namespace asyncio::coro {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

constexpr int kAwaits = kSanitized ? 1'000'000 : 10'000'000;
constexpr int kDepth = kSanitized ? 200'000 : 1'000'000;
constexpr std::size_t kSmallStackBytes = 256u << 10;

/// A driver with a ready queue of its own.
class Chain final : public Driver {
  public:
    Chain() noexcept : Driver(turns_) { turns_.context = &current_; }
    ~Chain() { destroy_chain(); }

    template <class T>
    explicit Chain(Coro<T> coro) : Chain() {
        innermost_ = &coro.release();
        innermost_->become_root(*this);
        turns_.ready.push(*this);
    }

    /// Run while it can; true when the root is finished.
    bool run() {
        while (!turns_.ready.empty()) {
            RunBatch batch(turns_.ready);
            run_turns(turns_, batch);
        }
        return finished_;
    }
    template <class T>
    Outcome<T>& outcome() {
        EXPECT_TRUE(finished_);
        return static_cast<Promise<T>&>(*innermost_).outcome();
    }
    void close() noexcept { destroy_chain(); }
    void request_cancel(const std::string& message) {
        if (wait_ != nullptr && wait_->cancel(message)) return;
        message_ = message;
        set_must_cancel();
    }

  private:
    void set_cancel_message(const std::string& message) override { message_ = message; }
    const std::string& cancel_message() const noexcept override { return message_; }
    void finish() override { finished_ = true; }
    void end_unstarted() noexcept override { finished_ = true; }
    bool resume_watched() noexcept override { return resume_chain(); }

    Turns turns_;
    ContextSlot* current_ = nullptr;
    std::string message_;
    bool finished_ = false;
};

/// Suspends until open().
class Gate final : public Wait {
  public:
    explicit Gate(Gate*& self) noexcept { self = this; }

    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) noexcept {
        driver_ = &frame.promise().driver();
        driver_->suspend_in(*this);
    }
    void await_resume() { driver_->throw_if_cancelled(); }

    void open() noexcept { driver_->wake(); }
    bool cancel(const std::string& message) noexcept override {
        driver_->deliver_cancel(message);
        driver_->wake();
        return true;
    }
    const char* what() const noexcept override { return "gate"; }

  private:
    Driver* driver_ = nullptr;
};

/// What is awaited: GCC 12 moves an awaiter that is awaited itself, so an awaitable makes it.
class Pass : public DriverAwaitable {
  public:
    explicit Pass(Gate*& gate) noexcept : gate_(gate) {}
    Gate operator co_await() const noexcept { return Gate(gate_); }

  private:
    Gate*& gate_;
};

/// An awaitable that never suspends.
class Ready : public DriverAwaitable {
  public:
    bool await_ready() const noexcept { return true; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
};

/// Suspends and tells nobody: what a miscompiled coroutine looks like from outside.
class Lost : public DriverAwaitable {
  public:
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    void await_resume() const noexcept {}
};

struct Alive {
    explicit Alive(int& c) : count(&c) { ++*count; }
    Alive(Alive&& other) noexcept : count(other.count) { ++*count; }
    ~Alive() { --*count; }
    int* count;
};

template <class T>
T run(Coro<T> coro) {
    Chain chain(std::move(coro));
    EXPECT_TRUE(chain.run());
    return chain.outcome<T>().take();
}

// --- results --------------------------------------------------------------------------------

Coro<int> answer() { co_return 42; }
Coro<std::unique_ptr<int>> owned(int v) { co_return std::make_unique<int>(v); }
Coro<> nothing(bool& ran) {
    ran = true;
    co_return;
}
Coro<int> failing() {
    throw std::runtime_error("deep");
    co_return 0;
}
Coro<int> pass_on(int depth) {
    if (depth == 0) {
        const int v = co_await failing();
        co_return v;
    }
    const int v = co_await pass_on(depth - 1);
    co_return v + 1;
}

TEST(Coro, gives_its_result_by_value_moved_or_none) {
    bool ran = false;
    const auto body = [&]() -> Coro<int> {
        const int v = co_await answer();
        const std::unique_ptr<int> p = co_await owned(7);
        co_await nothing(ran);
        co_return v + *p;
    };
    EXPECT_EQ(run(body()), 49);
    EXPECT_TRUE(ran);
}

TEST(Coro, an_exception_passes_through_every_level) {
    Chain chain(pass_on(100));
    ASSERT_TRUE(chain.run());
    try {
        chain.outcome<int>().take();
        FAIL();
    } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "deep");
    }
}

TEST(Coro, an_exception_can_be_caught_at_each_level_and_the_coroutine_goes_on) {
    const auto body = []() -> Coro<int> {
        int caught = 0;
        for (int i = 0; i < 3; ++i) {
            try {
                const int v = co_await failing();
                (void)v;
            } catch (const std::runtime_error&) {
                ++caught;
            }
        }
        co_return caught;
    };
    EXPECT_EQ(run(body()), 3);
}

struct ThrowsWhenDropped {
    ~ThrowsWhenDropped() noexcept(false) { throw std::runtime_error("destructor"); }
};
Coro<std::string> throws_on_the_way_out() {
    ThrowsWhenDropped thrower;
    co_return "a result that is lost";
}
TEST(Coro, a_local_that_throws_in_its_destructor_replaces_the_result) {
    Chain chain(throws_on_the_way_out());
    ASSERT_TRUE(chain.run());
    EXPECT_THROW(chain.outcome<std::string>().take(), std::runtime_error);
}

// --- laziness and ownership -----------------------------------------------------------------

TEST(Coro, is_lazy_and_move_only) {
    static_assert(!std::is_copy_constructible_v<Coro<int>>);
    static_assert(std::is_nothrow_move_constructible_v<Coro<int>>);
    bool ran = false;
    {
        Coro<> c = nothing(ran);
        EXPECT_TRUE(c.valid());
        Coro<> d = std::move(c);
        EXPECT_FALSE(c.valid());  // asyncio-lint: ok
        EXPECT_TRUE(d.valid());
    }
    EXPECT_FALSE(ran);
}

Coro<> holds(Alive alive) {
    (void)alive;
    co_return;
}
TEST(Coro, dropping_one_that_never_started_frees_its_parameters) {
    int count = 0;
    {
        Coro<> a = holds(Alive(count));
        EXPECT_EQ(count, 1);
        a = holds(Alive(count));
        EXPECT_EQ(count, 1);
    }
    EXPECT_EQ(count, 0);
}

TEST(Coro, parameters_die_when_the_await_ends_not_later) {
    int count = 0;
    const auto body = [&]() -> Coro<int> {
        Coro<> c = holds(Alive(count));
        co_await std::move(c);
        co_return count;
    };
    EXPECT_EQ(run(body()), 0);
}

TEST(Coro, TASK_21_awaiting_twice_is_an_error) {
    const auto body = []() -> Coro<std::string> {
        Coro<int> c = answer();
        const int v = co_await std::move(c);
        (void)v;
        std::string text;
        try {
            const int again = co_await std::move(c);  // asyncio-lint: ok
            (void)again;
        } catch (const std::logic_error& e) {
            text = e.what();
        }
        co_return text;
    };
    EXPECT_EQ(run(body()), "cannot reuse already awaited coroutine");
}

TEST(Coro, a_moved_from_one_cannot_become_a_task) {
    Coro<int> c = answer();
    Coro<int> d = std::move(c);
    EXPECT_THROW(c.release(), std::logic_error);  // asyncio-lint: ok
}

// --- waiting --------------------------------------------------------------------------------

TEST(Coro, resumes_where_it_waited) {
    Gate* gate = nullptr;
    std::vector<int> log;
    const auto inner = [&]() -> Coro<int> {
        log.push_back(1);
        co_await Pass(gate);
        log.push_back(2);
        co_return 3;
    };
    const auto outer = [&]() -> Coro<> {
        const int v = co_await inner();
        log.push_back(v);
    };
    Chain chain(outer());
    EXPECT_FALSE(chain.run());
    EXPECT_STREQ(chain.waiting_for()->what(), "gate");
    EXPECT_EQ(log, (std::vector<int>{1}));
    gate->open();
    EXPECT_TRUE(chain.run());
    EXPECT_EQ(log, (std::vector<int>{1, 2, 3}));
}

TEST(Coro, a_cancel_is_thrown_out_of_the_innermost_wait) {
    Gate* gate = nullptr;
    const auto inner = [&]() -> Coro<> { co_await Pass(gate); };
    const auto outer = [&]() -> Coro<std::string> {
        std::string seen;
        try {
            co_await inner();
        } catch (const CancelledError& e) {
            seen = e.message();
        }
        co_return seen;
    };
    Chain chain(outer());
    EXPECT_FALSE(chain.run());
    chain.request_cancel("why");
    EXPECT_TRUE(chain.run());
    EXPECT_EQ(chain.outcome<std::string>().take(), "why");
}

// --- what is recorded -----------------------------------------------------------------------

Coro<int> innermost_one(Gate*& gate, unsigned& line) {
    line = __LINE__ + 1;
    co_await Pass(gate);
    co_return 1;
}
Coro<int> middle_one(Gate*& gate, unsigned& line_below, unsigned& line) {
    line = __LINE__ + 1;
    const int v = co_await innermost_one(gate, line_below);
    co_return v;
}

TEST(Coro, every_frame_knows_its_awaiter_its_line_and_its_function) {
    Gate* gate = nullptr;
    unsigned line_below = 0;
    unsigned line = 0;
    Chain chain(middle_one(gate, line_below, line));
    EXPECT_FALSE(chain.run());
    const PromiseBase* frame = chain.innermost();
    EXPECT_EQ(frame->await_site().line(), line_below);
    EXPECT_NE(std::strstr(frame->created().function_name(), "innermost_one"), nullptr)
        << frame->created().function_name();
    EXPECT_EQ(std::strstr(frame->created().function_name(), "Frame"), nullptr);
    EXPECT_NE(std::strstr(frame->created().file_name(), "coro_test.cpp"), nullptr);
    frame = frame->awaiter();
    ASSERT_NE(frame, nullptr);
    EXPECT_EQ(frame->await_site().line(), line);
    EXPECT_NE(std::strstr(frame->created().function_name(), "middle_one"), nullptr);
    EXPECT_EQ(frame->awaiter(), nullptr);
    gate->open();
    EXPECT_TRUE(chain.run());
}

struct alignas(16) Aligned {
    char bytes[48];
};
template <class T>
Coro<T> give_default() {
    co_return T();
}
template <class T>
void check_handle() {
    Coro<T> coro = give_default<T>();
    Promise<T>& promise = coro.release();
    auto& base = static_cast<PromiseBase&>(promise);
    EXPECT_EQ(static_cast<void*>(&base), static_cast<void*>(&promise));
    EXPECT_EQ(base.handle().address(),
              std::coroutine_handle<Promise<T>>::from_promise(promise).address());
    EXPECT_LE(alignof(Promise<T>), 16u);
    base.handle().destroy();
}
TEST(Coro, the_handle_can_be_had_from_the_promise_base) {
    check_handle<void>();
    check_handle<char>();
    check_handle<int>();
    check_handle<std::string>();
    check_handle<Aligned>();
    check_handle<std::vector<long double>>();
}

// --- stack ----------------------------------------------------------------------------------

/// Runs `f` on a thread whose stack has kSmallStackBytes.
template <class F>
void on_a_small_stack(F&& f) {
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, kSmallStackBytes), 0);
    pthread_t thread{};
    ASSERT_EQ(pthread_create(
                  &thread, &attributes,
                  [](void* argument) -> void* {
                      (*static_cast<std::remove_reference_t<F>*>(argument))();
                      return nullptr;
                  },
                  &f),
              0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

/// The range of stack addresses at which something ran.
struct StackRange {
    [[gnu::noinline]] void note() {
        const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
        low = std::min(low, here);
        high = std::max(high, here);
    }
    std::uintptr_t bytes() const { return high - low; }
    std::uintptr_t low = UINTPTR_MAX;
    std::uintptr_t high = 0;
};
constexpr std::uintptr_t kFlatBytes = 4096;

Coro<int> plus_one(int x, StackRange& range) {
    range.note();
    co_return x + 1;
}
Coro<int> count_up(int n, StackRange& range) {
    int x = 0;
    while (x < n) x = co_await plus_one(x, range);
    co_return x;
}
TEST(CoroStack, synchronous_awaits_in_a_row_use_no_stack) {
    on_a_small_stack([] {
        StackRange range;
        EXPECT_EQ(run(count_up(kAwaits, range)), kAwaits);
        EXPECT_LT(range.bytes(), kFlatBytes);
    });
}

Coro<> ready_many_times(int n) {
    for (int i = 0; i < n; ++i) co_await Ready();
}
TEST(CoroStack, ready_awaitables_in_a_row_use_no_stack) {
    on_a_small_stack([] { run(ready_many_times(kAwaits)); });
}

Coro<int> descend(int depth, StackRange& range) {
    range.note();
    if (depth == 0) co_return 0;
    const int below = co_await descend(depth - 1, range);
    range.note();
    co_return below + 1;
}
TEST(CoroStack, a_deep_chain_uses_no_stack_down_nor_up) {
    on_a_small_stack([] {
        StackRange range;
        EXPECT_EQ(run(descend(kDepth, range)), kDepth);
        EXPECT_LT(range.bytes(), kFlatBytes);
    });
}

Coro<> descend_to(int depth, Gate*& gate, Alive alive) {
    (void)alive;
    if (depth == 0)
        co_await Pass(gate);
    else
        co_await descend_to(depth - 1, gate, Alive(*alive.count));
}
TEST(CoroStack, a_deep_waiting_chain_is_destroyed_without_recursion) {
    on_a_small_stack([] {
        int alive = 0;
        Gate* gate = nullptr;
        {
            Chain chain(descend_to(kDepth, gate, Alive(alive)));
            EXPECT_FALSE(chain.run());
            EXPECT_GE(alive, kDepth);
            chain.close();
            EXPECT_EQ(alive, 0);
        }
        EXPECT_EQ(alive, 0);
    });
}

Coro<int> around(Coro<int> inner, Alive alive) {
    (void)alive;
    const int below = co_await std::move(inner);
    co_return below + 1;
}
TEST(CoroStack, B2_a_deep_chain_that_never_started_is_dropped_without_recursion) {
    on_a_small_stack([] {
        int alive = 0;
        {
            Coro<int> chain = answer();
            for (int i = 0; i < kDepth; ++i) chain = around(std::move(chain), Alive(alive));
            EXPECT_EQ(alive, kDepth);
        }
        EXPECT_EQ(alive, 0);
    });
}

TEST(CoroStack, a_cancel_unwinds_a_deep_chain_without_recursion) {
    on_a_small_stack([] {
        int alive = 0;
        Gate* gate = nullptr;
        Chain chain(descend_to(kDepth / 10, gate, Alive(alive)));  // each level throws: slow
        EXPECT_FALSE(chain.run());
        chain.request_cancel("");
        EXPECT_TRUE(chain.run());
        EXPECT_THROW(chain.outcome<void>().take(), CancelledError);
        chain.close();
        EXPECT_EQ(alive, 0);
    });
}

// --- frames ---------------------------------------------------------------------------------

/// Large frames, each awaiting the next, until there is no memory for another.
Coro<int> hungry(int& alive_frames, int limit) {
    if (limit == 0) co_return 0;
    char room[256u << 10];
    asm volatile("" : : "r"(&room) : "memory");  // all of it stays in the frame
    const Alive local(alive_frames);
    const int below = co_await hungry(alive_frames, limit - 1);
    asm volatile("" : : "r"(&room) : "memory");
    co_return below + 1;
}
TEST(CoroFrame, bad_alloc_of_a_frame_reaches_the_caller_and_leaks_nothing) {
    if (kSanitized) GTEST_SKIP() << "the sanitizers need the address space";
    char stack[128u << 10];  // grown before the limit: it counts, and cannot grow when all is used
    std::fill(std::begin(stack), std::end(stack), 'x');
    asm volatile("" : : "r"(&stack) : "memory");
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
    rlimit less = before;
    less.rlim_cur = std::min(before.rlim_max, rlim_t{1} << 30);
    ASSERT_EQ(::setrlimit(RLIMIT_AS, &less), 0);
    int alive = 0;
    const auto body = [&]() -> Coro<std::string> {
        const Alive local(alive);
        std::string seen = "nothing";
        try {
            const int v = co_await hungry(alive, 100'000);
            (void)v;
        } catch (const std::bad_alloc&) {
            seen = "bad_alloc";
        }
        const int v = co_await answer();
        co_return seen + std::to_string(v);
    };
    const std::string result = run(body());
    ::setrlimit(RLIMIT_AS, &before);
    EXPECT_EQ(result, "bad_alloc42");
    EXPECT_EQ(alive, 0);
}

Coro<> loses_itself() {
    int declared = 0;
    (void)declared;
    co_await Lost();
}
TEST(CoroDeathTest, a_suspension_without_a_wait_is_reported_with_its_coroutine) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    Chain chain(loses_itself());
    EXPECT_DEATH(chain.run(), "coroutine .*loses_itself.*coro_test.cpp:[0-9]+.*suspended without");
}

}  // namespace
}  // namespace asyncio::coro
