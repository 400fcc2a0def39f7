// SPDX-License-Identifier: MIT
//
// What the floor of the benchmarks runs on: frames from a free list that never gives back, a list
// of what is ready, a coroutine that its caller awaits, one that is on its own, and a yield.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <new>
#include <utility>

namespace bench::floor {

class Frames {
  public:
    static void* get(std::size_t size) {
        void*& head = lists_[slot(size)];
        if (head == nullptr) return ::operator new(rounded(size));
        return std::exchange(head, *static_cast<void**>(head));
    }
    static void put(void* frame, std::size_t size) {
        void*& head = lists_[slot(size)];
        *static_cast<void**>(frame) = std::exchange(head, frame);
    }

  private:
    static constexpr std::size_t kSlots = 64;
    static std::size_t slot(std::size_t size) { return (size + 15) / 16 % kSlots; }
    static std::size_t rounded(std::size_t size) { return (size + 15) / 16 * 16; }
    static inline void* lists_[kSlots] = {};
};

struct Pooled {
    static void* operator new(std::size_t size) { return Frames::get(size); }
    static void operator delete(void* frame, std::size_t size) { Frames::put(frame, size); }
};

class Ready {
  public:
    struct Node {
        std::coroutine_handle<> frame;
        Node* next = nullptr;
    };
    void push(Node& node) {
        node.next = nullptr;
        *last_ = &node;
        last_ = &node.next;
    }
    bool empty() const { return first_ == nullptr; }
    void run() {
        while (first_ != nullptr) {
            Node& node = *first_;
            first_ = node.next;
            if (first_ == nullptr) last_ = &first_;
            node.frame.resume();
        }
    }

  private:
    Node* first_ = nullptr;
    Node** last_ = &first_;
};

inline Ready ready;

/// Awaited by its caller.
struct Called {
    struct promise_type : Pooled {
        std::coroutine_handle<> caller;
        int value = 0;

        struct Return {
            bool await_ready() noexcept { return false; }
            std::coroutine_handle<> await_suspend(
                std::coroutine_handle<promise_type> self) noexcept {
                return self.promise().caller;
            }
            void await_resume() noexcept {}
        };
        Called get_return_object() {
            return Called(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        Return final_suspend() noexcept { return {}; }
        void return_value(int v) { value = v; }
        void unhandled_exception() { std::abort(); }
    };

    explicit Called(std::coroutine_handle<promise_type> f) : frame(f) {}
    Called(Called&& other) noexcept : frame(std::exchange(other.frame, {})) {}
    ~Called() {
        if (frame) frame.destroy();
    }
    bool await_ready() const { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) const {
        frame.promise().caller = caller;
        return frame;
    }
    int await_resume() const { return frame.promise().value; }

    std::coroutine_handle<promise_type> frame;
};

/// Runs when its turn comes; frees itself.
struct Spawned {
    struct promise_type : Pooled {
        Ready::Node node;

        Spawned get_return_object() {
            node.frame = std::coroutine_handle<promise_type>::from_promise(*this);
            ready.push(node);
            return {};
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::abort(); }
    };
};

struct Yield {
    Ready::Node node;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> frame) {
        node.frame = frame;
        ready.push(node);
    }
    void await_resume() const {}
};

}  // namespace bench::floor
