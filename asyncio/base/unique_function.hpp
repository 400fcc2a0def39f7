// SPDX-License-Identifier: MIT
//
// UniqueFunction<R(Args...)>: a move-only callable. Small ones (three words) live inside, others on
// the heap. What std::function cannot hold, a lambda that owns a descriptor or a Task, it can.
#pragma once

#include <asyncio/base/taken.hpp>

#include <cassert>
#include <cstddef>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class Signature>
class UniqueFunction;

template <class R, class... Args>
class UniqueFunction<R(Args...)> {
  public:
    UniqueFunction() noexcept = default;
    UniqueFunction(std::nullptr_t) noexcept {}

    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> &&
                 std::is_invocable_r_v<R, std::decay_t<F>&, Args...>)
    UniqueFunction(F&& f) {
        using Held = std::decay_t<F>;
        if constexpr (fits<Held>) {
            ::new (static_cast<void*>(storage_)) Held(std::forward<F>(f));
            ops_ = &kInline<Held>;
        } else {
            *reinterpret_cast<Held**>(storage_) = new Held(std::forward<F>(f));
            ops_ = &kHeap<Held>;
        }
    }

    UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
    UniqueFunction& operator=(UniqueFunction&& other) noexcept {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    ~UniqueFunction() { reset(); }

    explicit operator bool() const noexcept { return ops_ != nullptr; }
    R operator()(Args... args) {
        assert(ops_ != nullptr);
        return ops_->call(storage_, std::forward<Args>(args)...);
    }

  private:
    static constexpr std::size_t kInlineSize = 3 * sizeof(void*);

    struct Ops {
        R (*call)(void*, Args&&...);
        void (*move)(void* to, void* from) noexcept;  // null: its bytes are copied
        void (*destroy)(void*) noexcept;              // null: nothing to do
    };

    template <class F>
    static constexpr bool fits = sizeof(F) <= kInlineSize && alignof(F) <= alignof(void*) &&
                                 std::is_nothrow_move_constructible_v<F>;

    template <class F>
    static R invoke(F& f, Args&&... args) {
        if constexpr (std::is_void_v<R>)
            static_cast<void>(f(std::forward<Args>(args)...));
        else
            return f(std::forward<Args>(args)...);
    }

    template <class F>
    static R call_inline(void* at, Args&&... args) {
        return invoke(*static_cast<F*>(at), std::forward<Args>(args)...);
    }
    template <class F>
    static R call_on_heap(void* at, Args&&... args) {
        return invoke(**static_cast<F**>(at), std::forward<Args>(args)...);
    }
    template <class F>
    static void move_inline(void* to, void* from) noexcept {
        ::new (to) F(std::move(*static_cast<F*>(from)));
        static_cast<F*>(from)->~F();
    }
    template <class F>
    static void destroy_inline(void* at) noexcept {
        static_cast<F*>(at)->~F();
    }
    template <class F>
    static void delete_from_heap(void* at) noexcept {
        delete *static_cast<F**>(at);
    }

    template <class F>
    static constexpr Ops kInline = {
        &call_inline<F>, std::is_trivially_copyable_v<F> ? nullptr : &move_inline<F>,
        std::is_trivially_destructible_v<F> ? nullptr : &destroy_inline<F>};

    template <class F>
    static constexpr Ops kHeap = {&call_on_heap<F>, nullptr, &delete_from_heap<F>};

    void take(UniqueFunction& other) noexcept {
        ops_ = taken(other.ops_);
        if (ops_ == nullptr) return;
        if (ops_->move == nullptr)
            std::memcpy(storage_, other.storage_, kInlineSize);
        else
            ops_->move(storage_, other.storage_);
    }
    void reset() noexcept {
        const Ops* ops = taken(ops_);
        if (ops != nullptr && ops->destroy != nullptr) ops->destroy(storage_);
    }

    const Ops* ops_ = nullptr;
    alignas(void*) unsigned char storage_[kInlineSize] = {};
};

}  // namespace asyncio
