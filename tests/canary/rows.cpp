// SPDX-License-Identifier: MIT
//
// The canary programs: compiled once per row with -DROW_<name>, see rows.txt for what is expected.
// They contain on purpose what asyncio-lint forbids.  asyncio-lint: off
#include <array>
#include <tuple>

#include "canary.hpp"

int reached = 0;

#if defined(ROW_a_if)
Task<bool> body() {
    if (co_await yes()) co_return true;  // asyncio-lint: ok
    co_return false;
}
#elif defined(ROW_a_while)
Task<bool> body() {
    while (co_await yes()) co_return true;
    co_return false;
}
#elif defined(ROW_a_do)
Task<bool> body() {
    do ++reached;
    while (reached < 3 && co_await yes());
    co_return true;
}
#elif defined(ROW_a_do_plain)
Task<bool> body() {
    do {
        if (++reached == 3) co_return true;
    } while (co_await yes());
    co_return false;
}
#elif defined(ROW_a_for)
Task<bool> body() {
    for (; co_await yes();) co_return true;
    co_return false;
}
#elif defined(ROW_a_switch)
Task<bool> body() {
    switch (co_await take_tracked(3)) {
        case 3:
            co_return true;
        default:
            co_return false;
    }
}
#elif defined(ROW_a_try)
Task<bool> body() {
    try {
        if (co_await yes()) co_return true;
    } catch (...) {
    }
    co_return false;
}
#elif defined(ROW_a_template)
template <bool B>
Task<bool> templated() {
    if constexpr (B) {
        if (co_await yes()) co_return true;
    }
    co_return false;
}
Task<bool> body() { return templated<true>(); }
#elif defined(ROW_a_member)
struct Connection {
    Task<bool> run(int) {
        if (co_await yes()) co_return open;
        co_return false;
    }
    bool open = true;
} connection;
Task<bool> body() { return connection.run(1); }
#elif defined(ROW_a_ok_declares)
Task<bool> body() {
    while (bool more = co_await yes()) co_return more;
    co_return false;
}
#elif defined(ROW_a_ok_hoisted)
Task<bool> body() {
    const bool v = co_await yes();
    if (v) co_return true;
    co_return false;
}
#elif defined(ROW_a_ok_conditional)
Task<bool> body() { co_return co_await yes() ? true : false; }
#elif defined(ROW_a_ok_and)
Task<bool> body() { co_return co_await yes() && co_await yes(); }
#elif defined(ROW_a_and_early)
bool marked = false;
struct Mark {
    bool value;
};
Task<bool> mark() {
    co_await Pause();
    marked = true;
    co_return true;
}
Mark look() { return {marked}; }
bool holds(const Mark& mark) { return mark.value; }
Task<bool> body() {
    const bool right = co_await mark() && holds(look());  // asyncio-lint: ok
    co_return right;
}
#elif defined(ROW_a_or_called)
bool called = false;
struct Word {
    bool value;
};
Word call_it() {
    called = true;
    return {true};
}
bool holds(const Word& word) { return word.value; }
Task<bool> body() {
    const bool right = co_await yes() || holds(call_it());  // asyncio-lint: ok
    co_return right && !called;
}
#elif defined(ROW_a_ok_and_named)
bool marked = false;
Task<bool> mark() {
    co_await Pause();
    marked = true;
    co_return true;
}
bool look() { return marked; }
Task<bool> body() {
    const bool right = co_await mark() && look();
    co_return right;
}
#elif defined(ROW_a_ok_forever)
Task<bool> body() {
    while (true) {
        auto v = co_await yes();
        if (v) co_return v;
    }
}

#elif defined(ROW_b_aggregate)
Task<bool> body() { co_return co_await take(Options{7}) == 7; }
#elif defined(ROW_b_braces)
Task<bool> body() { co_return co_await take({7}) == 7; }
#elif defined(ROW_b_designated)
Task<bool> body() { co_return co_await take({.tracked = 7}) == 7; }
#elif defined(ROW_b_reference)
Task<bool> body() { co_return co_await take_reference(Options{7}) == 7; }
#elif defined(ROW_b_default)
Task<bool> body() { co_return co_await take_default(1) == 5; }
#elif defined(ROW_b_array)
Task<int> take_array(std::array<Tracked, 2> a) {
    co_await Pause();
    co_return a[1].value;
}
Task<bool> body() {
    co_return co_await take_array(std::array<Tracked, 2>{Tracked(1), Tracked(2)}) == 2;
}
#elif defined(ROW_b_lambda)
Task<bool> body() {
    Tracked t(7);
    const int v = co_await call([t] { return t.value; });
    co_return v == 7;
}
#elif defined(ROW_b_lambda_elsewhere)
template <class F>
int now(F f) {
    return f();
}
Task<bool> body() {
    Tracked t(7);
    const int v = now([t] { return t.value; }) + co_await take_tracked(1);
    co_return v == 8;
}
#elif defined(ROW_b_awaiter)
struct Aggregate {
    Tracked tracked;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) noexcept { waiting = h; }
    int await_resume() const noexcept { return tracked.value; }
};
Task<bool> body() {
    Tracked t(7);
    const int v = co_await Aggregate{std::move(t)};
    co_return v == 7;
}
#elif defined(ROW_b_conditional)
Task<bool> body() {
    bool b = true;
    Tracked x(1);
    Tracked y(2);
    const int v = co_await take_tracked(b ? Tracked(x) : Tracked(y));
    co_return v == 1;
}
#elif defined(ROW_b_yield)
struct Generator {
    struct promise_type {
        int seen = 0;
        Generator get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        std::suspend_always yield_value(Options o) {
            seen = o.tracked.value;
            return {};
        }
        void return_void() {}
        void unhandled_exception() {}
    };
    std::coroutine_handle<promise_type> handle;
};
Generator generate() { co_yield Options{7}; }
Task<bool> body() {
    Generator g = generate();
    const bool right = g.handle.promise().seen == 7;
    g.handle.resume();
    g.handle.destroy();
    co_return right;
}
#elif defined(ROW_b_throw)
struct Failure {
    explicit Failure(Tracked t) : tracked(std::move(t)) {}
    Tracked tracked;
};
Task<Tracked> make() {
    co_await Pause();
    co_return Tracked(7);
}
Task<bool> thrower() {
    throw Failure(co_await make());
    co_return false;
}
Task<bool> body() {
    bool right = false;
    try {
        const bool v = co_await thrower();
        (void)v;
    } catch (const Failure& f) {
        right = f.tracked.value == 7;
    }
    co_return right;
}

#elif defined(ROW_ok_named)
Task<bool> body() {
    Options o{7};
    co_return co_await take(std::move(o)) == 7;
}
#elif defined(ROW_ok_task_first)
Task<bool> body() {
    auto t = take(Options{7});
    co_return co_await std::move(t) == 7;
}
#elif defined(ROW_ok_not_aggregate)
Task<bool> body() {
    const int v = co_await take_constructed(1);
    const int w = co_await take_constructed(1, Constructed(7));
    co_return v == 5 && w == 7;
}
#elif defined(ROW_ok_parentheses)
Task<bool> body() { co_return co_await take(Options()) == 5; }
#elif defined(ROW_ok_returned)
Options options() { return {7}; }
Task<bool> body() { co_return co_await take(options()) == 7; }
#elif defined(ROW_ok_trivial_aggregate)
struct Trivial {
    int a = 1;
    const char* b = "";
};
Task<int> take_trivial(Trivial t) {
    co_await Pause();
    co_return t.a;
}
Task<bool> body() { co_return co_await take_trivial({.a = 7}) == 7; }
#elif defined(ROW_ok_library_types)
Task<bool> take_all(std::pair<Tracked, int>, std::tuple<Tracked>, std::optional<Tracked>,
                    std::string s, std::vector<Tracked> v) {
    co_await Pause();
    co_return s.size() + v.size() == 102;
}
Task<bool> body() {
    Tracked t(1);
    co_return co_await take_all(std::pair<Tracked, int>(t, 1), std::tuple<Tracked>(t), t,
                                std::string(100, 'x'), std::vector<Tracked>(2));
}
#elif defined(ROW_ok_lambda_reference)
Task<bool> body() {
    Tracked t(7);
    co_return co_await call([&t] { return t.value; }) == 7;
}
#elif defined(ROW_ok_lambda_parameter)
Task<bool> body() {
    co_return co_await [](Tracked t) -> Task<int> {
        co_await Pause();
        co_return t.value;
    }(Tracked(7)) == 7;
}
#elif defined(ROW_ok_spawned)
Task<bool> body() {
    Tracked t(7);
    auto task = call([t] { return t.value; });
    co_return co_await std::move(task) == 7;
}
#elif defined(ROW_ok_nested)
Task<bool> body() { co_return co_await take_tracked(co_await take_tracked(Tracked(7))) == 7; }
#elif defined(ROW_ok_bindings)
Task<std::pair<Tracked, int>> two() {
    co_await Pause();
    co_return std::pair<Tracked, int>(3, 4);
}
Task<bool> body() {
    auto [a, b] = co_await two();
    co_return a.value + b == 7;
}
#elif defined(ROW_ok_range_for)
Task<std::vector<Tracked>> several() {
    co_await Pause();
    co_return std::vector<Tracked>(3);
}
Task<bool> body() {
    int n = 0;
    for (const Tracked& t : co_await several()) n += 1 + t.value;
    co_return n == 3;
}
#elif defined(ROW_ok_return_aggregate)
Task<Options> give(bool b) {
    co_await Pause();
    if (b) co_return Options{7};
    co_return Options{8};
}
Task<bool> body() {
    const Options o = co_await give(true);
    co_return o.tracked.value == 7;
}

#elif defined(ROW_c_list)
Task<int> take_list(std::initializer_list<Tracked> list) {
    co_return static_cast<int>(list.size());
}
Task<bool> body() {
    Tracked t(1);
    co_return co_await take_list({t, t}) == 2;
}
#elif defined(ROW_c_vector)
Task<int> take_vector(std::vector<Tracked> v) {
    co_await Pause();
    co_return static_cast<int>(v.size());
}
Task<bool> body() {
    Tracked t(1);
    co_return co_await take_vector(std::vector<Tracked>{t, t}) == 2;
}
#elif defined(ROW_c_statement)
Task<Tracked> make() {
    co_await Pause();
    co_return Tracked(7);
}
Task<bool> body() {
    Tracked t = __extension__({
        auto x = co_await make();
        if (x.value != 7) co_return false;
        std::move(x);
    });
    co_return t.value == 7;
}

#elif defined(ROW_d_constant_p)
Task<int> counted() {
    ++reached;
    co_return 1;
}
Task<bool> body() {
    (void)__builtin_constant_p(co_await counted());
    co_return reached == 0;
}
#else
#error "no such row"
#endif

Task<bool> whole() {
    const bool right = co_await body();
    check(right);
    co_return right;
}

int main() { return verdict(whole()); }
