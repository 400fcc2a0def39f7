// Planted cases for asyncio-lint: this file is read by tools/asyncio_lint_test.py, never compiled.
// A line that ends in `expect` and a rule must be found with that rule; no other line may be.

// The types the cases speak of.
struct Agg { std::string name; int n = 0; };
struct Nested { Agg inner; };
struct Flat { int n = 0; std::string_view view; std::chrono::seconds timeout{}; };
struct WithConstructor { WithConstructor() = default; std::string name; WithConstructor& u(const char*); };
struct Aw { std::string text; bool await_ready(); void await_suspend(std::coroutine_handle<>); void await_resume(); };
Coro<bool> yes();
Coro<int> number();

// (a) A coroutine that declares nothing and awaits in a condition: PR 106188.
Coro<bool> a1() { if (co_await yes()) co_return true; co_return false; }  // expect: await-in-condition
Coro<> a2(Conn& c) {
    while (co_await c.next()) c.handle();  // expect: await-in-condition
}
Coro<> a3(Conn& c) {
    do {
        c.handle();
    } while (co_await c.next());  // expect: await-in-condition
}
Coro<> a4(Conn& c) {
    for (; co_await c.next();) c.handle();  // expect: await-in-condition
}
Coro<> a5(Conn& c) {
    switch (co_await c.next()) {  // expect: await-in-condition
        case 1: c.handle(); break;
        default: break;
    }
}
Coro<> a6(Conn& c) {
    try {
        if (c.ready() && co_await c.next()) c.handle();  // expect: await-in-condition
    } catch (...) {
    }
}
template <class T>
Coro<> a7(T& c) {
    if constexpr (sizeof(T) > 1) {
        if (!co_await c.next()) co_return;  // expect: await-in-condition
    }
}
struct Member {
    Coro<int> read() const {
        if (co_await yes()) co_return value;  // expect: await-in-condition
        co_return 0;
    }
    int value;
};
auto a8 = [](Conn& c) -> Coro<> {
    while (co_await c.next()) c.handle();  // expect: await-in-condition
};
Coro<> a9(Conn& c) {
    const int before = 1;
    c.set(before);
    co_await run([](Conn& d) -> Coro<> {
        if (co_await d.next()) d.handle();  // expect: await-in-condition
    });
}
Coro<> a10(Conn& c) {
    if (co_await c.next() == 3 ||  // expect: await-in-condition
        c.closed())
        c.handle();
}
Coro<> a_ok1(Conn& c) { while (bool more = co_await c.next()) c.handle(); }
Coro<bool> a_ok2() { const bool v = co_await yes(); co_return v; }
Coro<> a_ok3(Conn& c) { while (true) { auto v = co_await c.next(); c.handle(v); } }
Coro<> a_ok4(Conn& c) {
    if (co_await c.next()) {
        int n = 3;
        c.handle(n);
    }
}
Coro<bool> a_ok5() { co_return co_await yes() && co_await yes(); }
Coro<> a_ok6(Conn& c) {
    for (int i = 0; co_await c.next(); ++i) c.handle();
}
Coro<> a_ok7(Conn& c) {
    try {
        if (co_await c.next()) c.handle();
    } catch (const std::exception& e) {
        c.fail(e);
    }
}
Coro<> a_ok8(Conn& c) {
    using Item = int;
    if (co_await c.next()) c.handle();
}
Coro<> a_ok9(Conn& c) {
    auto [done, pending] = co_await c.both();
    if (co_await c.next()) c.handle();
}
Coro<> a_ok10(Conn& c) {
    std::vector<int> seen;
    while (co_await c.next()) seen.push_back(1);
}
Coro<> a_ok11(Conn& c) {
    for (auto& item : c.items()) {
        if (co_await item.next()) c.handle();
    }
}
Coro<> a_ok12(Conn& c) {
    Conn::Item* item = c.first();
    if (co_await c.next()) c.handle(item);
}
void a_ok13(Conn& c) {
    if (c.ready()) c.spawn([](Conn& d) -> Coro<> { co_await d.next(); });
}
template <class A>
decltype(auto) a_ok14(A&& a) {
    if constexpr (requires { a.operator co_await(); }) return a.operator co_await();
}
Coro<> a_silenced(Conn& c) {
    if (co_await c.next()) c.handle();  // asyncio-lint: ok
    // asyncio-lint: ok
    if (co_await c.next()) c.handle();
}

// (b) Temporaries in an expression with co_await.
Coro<> b1(std::string s, std::string other, int n, Agg named, std::mutex& m) {
    co_await f(Agg{s, 1});  // expect: aggregate-temporary
    co_await f({.name = std::string("x")});  // expect: aggregate-temporary
    co_await f({.name = s});  // expect: aggregate-temporary
    co_await f({.name = "a literal for a std::string member"});  // expect: aggregate-temporary
    co_await f(n, {.label = std::move(other)});  // expect: aggregate-temporary
    co_await f({s, n});  // expect: aggregate-temporary
    co_await f(Agg{});  // expect: aggregate-temporary
    co_await f(Nested{});  // expect: aggregate-temporary
    co_await f(lib::Unknown{std::string("x"), 1});  // expect: aggregate-temporary
    co_await f(std::array<std::string, 2>{s, other});  // expect: aggregate-temporary
    plain(Agg{s, 2}, co_await number());  // expect: aggregate-temporary
    const auto size = measure(Agg{s, 3}) + co_await number();  // expect: aggregate-temporary
    co_await f(
        n,
        Agg{.name = s});  // expect: aggregate-temporary
    co_await Aw{std::move(s)};  // expect: aggregate-temporary
    co_await with(m, [s] { use(s); });  // expect: lambda-temporary
    co_await with(m, [s = std::move(s)]() mutable { use(s); });  // expect: lambda-temporary
    co_await with(m, [=] { use(s); });  // expect: lambda-temporary
    co_await with(m, [n, other]() -> Coro<> { co_await g(other); });  // expect: lambda-temporary
    co_await with(m, std::function<void()>([s] { use(s); }));  // expect: lambda-temporary
    co_await with(m, wrap([*this] { use(n); }));  // expect: lambda-temporary
    plain([s] { use(s); }, co_await number());  // expect: lambda-temporary
    co_await [s]() -> Coro<> { co_await g(s); }();  // expect: lambda-temporary
    co_await (n > 0 ? a() : c());  // expect: ternary
    n > 0 ? co_await a() : co_await c();  // expect: ternary
    co_await f(n > 0 ? s : other);  // expect: ternary
    plain(n > 0 ? s : other, co_await number());  // expect: ternary
    const auto r = n > 0 ? co_await a() : co_await c();  // expect: ternary
    throw std::runtime_error(co_await text());  // expect: throw-await
}
Generator<Agg> b2(bool b, std::string s1, std::string s2, int i) {
    co_yield Agg{s1, 1};  // expect: aggregate-temporary
    co_yield {s1, 1};  // expect: aggregate-temporary
    co_yield b ? s1 : s2;  // expect: ternary
    co_yield i;
    co_yield named;
    co_yield Flat{1};
}
Coro<> b3(Agg options = {});  // expect: defaulted-aggregate
Coro<int> b4(int n, const Agg& options = Agg{});  // expect: defaulted-aggregate
Coro<int> b5(std::vector<int> v = {1, 2});  // expect: defaulted-aggregate
auto b6(Agg options = {}) -> Coro<>;  // expect: defaulted-aggregate
Coro<> b_ok0(Flat options = {});
Coro<> b_ok1(WithConstructor options = {});
void b_ok2(Agg options = {});
Coro<> b_ok3(std::string s, int n, std::string_view view, Conn* conn, Flat flat, std::vector<int>& list) {
    Agg named{s, 1};
    co_await f(std::move(named));
    auto later = f(Agg{s, 1});
    co_await std::move(later);
    co_await f(Flat{1, "x"});
    co_await f({.timeout = 1s});
    co_await f({.n = 3, .timeout = std::chrono::seconds(2)});
    co_await f(conn, {.n = n});
    co_await f({});
    co_await f(WithConstructor{}.u("x"));
    co_await f(std::string{"x"}, std::optional<int>{3}, std::pair{1, 2});
    co_await f(std::make_shared<int>(3), std::string("x"), s + "x");
    co_await with(m, [&] { use(s); });
    co_await with(m, [&s, n, view, conn] { use(s); });
    co_await with(m, [this, n]() -> Coro<> { co_await g(n); });
    co_await with(m, [](std::string t) -> Coro<> { co_await g(t); }, s);
    co_await [](std::string t) -> Coro<> { co_await g(t); }("x");
    co_await with(m, [count = list.size(), p = &list, k = 0] { use(k); });
    group.create_task([s]() -> Coro<> { co_await g(s); });
    group.create_task([s = std::move(s)]() -> Coro<> {
        co_await g(s);
        co_await f(3);
    });
    auto work = [s] { use(s); };
    const auto done = co_await to_thread(std::move(work));
    const Agg made{s, co_await number()};
    Agg other = {s, co_await number()};
    const int k = co_await number() > 0 ? 1 : 2;
    co_await f(n > 0 ? n : 1);
    co_await f(n > 0 ? "a" : "b");
    co_await sleep(n > 1 ? 5ms : 10ms);
    list[co_await number()] = 3;
    const int values[] = {1, 2, 3};
    for (const int v : {1, 2, 3}) co_await f(v);
    if (n > 0) { co_await f(n); } else { co_await g(s); }
    auto copy = Agg{s, 1};
    auto pick = n > 0 ? s : view;
    throw std::runtime_error("x");
}

// (c) Lists, and what crashes the compiler.
Coro<> c1(std::string a, std::string b, Conn* obj, Coro<> (Conn::*fun)()) {
    const int one = 1;
    co_await f({1, 2, 3});  // expect: braced-list
    co_await f(std::vector<int>{1, 2, 3});  // expect: braced-list
    co_await f(std::vector<std::string>{a, b});  // expect: braced-list
    co_await f(std::initializer_list<int>{1});  // expect: braced-list
    co_await (obj->*fun)();  // expect: member-pointer-await
    co_await f(({ co_await number(); }));  // expect: statement-expression
    std::vector<int> named{1, 2, 3};
    co_await f(std::move(named));
    co_await f(std::vector<int>{});
    co_await f(std::vector<int>(3));
    const std::vector<int> both{co_await number(), co_await number()};
}
Coro<> c2(std::initializer_list<std::string> all);  // expect: initializer-list-parameter
Coro<> c3(std::span<const std::string> all);
void c4(std::initializer_list<std::string> all);

// Made too early, on the right of && and ||.
Coro<> f1(std::string s, EventLoop& loop, TimePoint end, std::vector<int> list) {
    int ticks = 0;
    for (; co_await yes() && loop.time() < end; ++ticks) continue;  // expect: early-operand
    const bool named = co_await yes() && takes(make());  // expect: early-operand
    if (co_await yes() || name_of(s) == "x") ++ticks;  // expect: early-operand
    if ((co_await yes() && end > now()) || named) ++ticks;  // expect: early-operand
    const bool braces = co_await yes() && holds(Flat{1});  // expect: early-operand
    const bool first = named && co_await yes();
    const bool both = co_await yes() && co_await yes();
    const bool plain = co_await yes() && !named;
    const bool whole = co_await yes() && !list.empty() && s.starts_with("x");
    const bool small = co_await yes() && list.size() < 3;
    const bool before = takes(make()) && co_await yes();
    const bool more = co_await yes();
    if (more && loop.time() < end) ++ticks;
    auto&& kept = co_await number();
}

// (d) Macros that mention their argument twice, and others that a coroutine cannot hold.
Coro<> d1() {
    const int one = 1;
    REQUIRE(co_await yes());  // expect: evaluated-twice
    CHECK(co_await number() == 3);  // expect: evaluated-twice
    if (__builtin_constant_p(co_await number())) use(one);  // expect: evaluated-twice
    ASSERT_TRUE(co_await yes());  // expect: assert-returns
    ASSERT_EQ(one, 1);  // expect: assert-returns
    EXPECT_TRUE(co_await yes());
    const bool v = co_await yes();
    REQUIRE(v);
}
TEST(Cases, AssertInAPlainFunction) {
    ASSERT_TRUE(true);
    run([]() -> Coro<> { EXPECT_EQ(co_await number(), 1); }());
}

// Captures that die before their coroutine, on every compiler.
void e1(std::string s, int n) {
    auto c = [s]() -> Coro<> { co_await g(s); }();  // expect: lambda-dies
    run([&]() -> Coro<> { co_await g(s); });
    run([](int k) -> Coro<> { co_await g(k); }(n));
    auto value = [&] { return n + 1; }();
}
