// SPDX-License-Identifier: MIT
//
// What the canary programs share: a lazy coroutine type without anything of ours, and an object
// that notices when the compiler copies it bitwise or destroys it twice.
//
// A program is right if main() returns 0: the body ran to its end, every Tracked was destroyed
// exactly once where it was built, and check() never failed.
#pragma once

#include <coroutine>
#include <cstdio>
#include <exception>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

inline std::set<const void*> live;
inline int wrong = 0;

inline void check(bool right) {
    if (!right) ++wrong;
}

struct Tracked {
    Tracked(int v = 0) : value(v) { check(live.insert(this).second); }
    Tracked(const Tracked& other) : value(other.value) { check(live.insert(this).second); }
    Tracked(Tracked&& other) noexcept : value(other.value) { check(live.insert(this).second); }
    Tracked& operator=(const Tracked&) = default;
    ~Tracked() { check(live.erase(this) == 1); }
    int value;
};

inline std::coroutine_handle<> waiting;  // what main() resumes next

struct Pause {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) noexcept { waiting = handle; }
    void await_resume() const noexcept {}
};

template <class T>
struct Task;

template <class T>
struct PromiseOf {
    std::optional<T> result;
    void return_value(T value) { result.emplace(std::move(value)); }
};
template <>
struct PromiseOf<void> {
    void return_void() {}
};

template <class T = void>
struct [[nodiscard]] Task {
    struct promise_type : PromiseOf<T> {
        std::coroutine_handle<> parent;
        std::exception_ptr error;
        Task get_return_object() {
            return Task(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        struct Final {
            bool await_ready() noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> h) noexcept {
                if (h.promise().parent) waiting = h.promise().parent;
            }
            void await_resume() noexcept {}
        };
        Final final_suspend() noexcept { return {}; }
        void unhandled_exception() { error = std::current_exception(); }
    };
    struct Awaiter {
        explicit Awaiter(std::coroutine_handle<promise_type> h) : handle(h) {}
        bool await_ready() noexcept { return false; }
        void await_suspend(std::coroutine_handle<> p) noexcept {
            handle.promise().parent = p;
            waiting = handle;
        }
        T await_resume() {
            if (handle.promise().error) std::rethrow_exception(handle.promise().error);
            if constexpr (!std::is_void_v<T>) return std::move(*handle.promise().result);
        }
        std::coroutine_handle<promise_type> handle;
    };

    explicit Task(std::coroutine_handle<promise_type> h) : handle(h) {}
    Task(Task&& other) noexcept : handle(std::exchange(other.handle, {})) {}
    ~Task() {
        if (handle) handle.destroy();
    }
    Awaiter operator co_await() && noexcept { return Awaiter(handle); }
    std::coroutine_handle<promise_type> handle;
};

/// Runs the task; 0 if all was right.
template <class T>
int verdict(Task<T> task) {
    waiting = task.handle;
    while (waiting) std::exchange(waiting, {}).resume();
    if (!task.handle.done()) {
        std::puts("the body never ended");
        return 2;
    }
    {
        Task<T> gone = std::move(task);
    }
    if (wrong != 0) std::printf("%d objects copied or destroyed wrongly\n", wrong);
    if (!live.empty()) std::printf("%zu objects never destroyed\n", live.size());
    return wrong == 0 && live.empty() ? 0 : 1;
}

// What the rows call.
inline Task<bool> yes() {
    co_await Pause();
    co_return true;
}
struct Options {
    Tracked tracked = 5;
    int number = 1;
};
inline Task<int> take(Options options) {
    co_await Pause();
    co_return options.tracked.value;
}
inline Task<int> take_reference(const Options& options) {
    co_await Pause();
    co_return options.tracked.value;
}
inline Task<int> take_default(int, Options options = {}) {  // asyncio-lint: ok
    co_await Pause();
    co_return options.tracked.value;
}
inline Task<int> take_tracked(Tracked tracked) {
    co_await Pause();
    co_return tracked.value;
}
template <class F>
Task<int> call(F f) {
    co_await Pause();
    co_return f();
}
struct Constructed {  // no aggregate
    Constructed() {}
    explicit Constructed(int v) : tracked(v) {}
    Tracked tracked = 5;
};
inline Task<int> take_constructed(int, Constructed options = {}) {
    co_await Pause();
    co_return options.tracked.value;
}
