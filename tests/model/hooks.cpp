// SPDX-License-Identifier: MIT
//
// What the compiler calls under -fsanitize=thread.
#include <cstring>

#include "memory.hpp"

using model::current;
using model::Order;

#define CALLER __builtin_return_address(0)
// NOLINTBEGIN: the names are the compiler's

namespace {

template <class T>
std::uint64_t bits(T value) noexcept {
    return static_cast<std::uint64_t>(value);
}

template <class T>
T load(const volatile T* at, int order, const void* caller) noexcept {
    const auto* address = const_cast<const T*>(at);
    if (current == nullptr) return __atomic_load_n(address, __ATOMIC_SEQ_CST);
    model::check_spinning(address);
    model::before_atomic(address, false, caller);
    return static_cast<T>(model::loaded(address, sizeof(T), bits(__atomic_load_n(address, 5)),
                                        static_cast<Order>(order), false, caller));
}

template <class T>
void store(volatile T* at, T value, int order, const void* caller) noexcept {
    auto* address = const_cast<T*>(at);
    if (current != nullptr) {
        model::before_atomic(address, true, caller);
        model::stored(address, sizeof(T), bits(__atomic_load_n(address, 5)), bits(value),
                      static_cast<Order>(order), false, caller);
    }
    __atomic_store_n(address, value, __ATOMIC_SEQ_CST);
}

/// Read, and write what `change` makes of it.
template <class T, class Change>
T modify(volatile T* at, int order, const void* caller, Change change) noexcept {
    auto* address = const_cast<T*>(at);
    if (current == nullptr) {
        T before = __atomic_load_n(address, 5);
        while (!__atomic_compare_exchange_n(address, &before, change(before), false, 5, 5)) {
        }
        return before;
    }
    model::before_atomic(address, true, caller);
    const T before = __atomic_load_n(address, 5);
    const T after = change(before);
    model::stored(address, sizeof(T), bits(before), bits(after), static_cast<Order>(order), true,
                  caller);
    __atomic_store_n(address, after, 5);
    return before;
}

template <class T>
T compare_exchange(volatile T* at, T expected, T desired, int order, int failure,
                   const void* caller) noexcept {
    auto* address = const_cast<T*>(at);
    if (current == nullptr) {
        __atomic_compare_exchange_n(address, &expected, desired, false, 5, 5);
        return expected;
    }
    model::before_atomic(address, true, caller);
    const T before = __atomic_load_n(address, 5);
    if (before != expected)
        return static_cast<T>(model::loaded(address, sizeof(T), bits(before),
                                            static_cast<Order>(failure), true, caller));
    model::stored(address, sizeof(T), bits(before), bits(desired), static_cast<Order>(order), true,
                  caller);
    __atomic_store_n(address, desired, 5);
    return before;
}

}  // namespace

#define PLAIN(size)                                                                               \
    void __tsan_read##size(void* at) { model::access(at, size, false, false, CALLER); }           \
    void __tsan_write##size(void* at) { model::access(at, size, true, false, CALLER); }           \
    void __tsan_unaligned_read##size(void* at) { model::access(at, size, false, false, CALLER); } \
    void __tsan_unaligned_write##size(void* at) { model::access(at, size, true, false, CALLER); }

#define ATOMIC(n, T)                                                                               \
    T __tsan_atomic##n##_load(const volatile T* at, int order) { return load(at, order, CALLER); } \
    void __tsan_atomic##n##_store(volatile T* at, T value, int order) {                            \
        store(at, value, order, CALLER);                                                           \
    }                                                                                              \
    T __tsan_atomic##n##_exchange(volatile T* at, T v, int order) {                                \
        return modify(at, order, CALLER, [v](T) noexcept { return v; });                           \
    }                                                                                              \
    T __tsan_atomic##n##_fetch_add(volatile T* at, T v, int order) {                               \
        return modify(at, order, CALLER, [v](T x) noexcept { return static_cast<T>(x + v); });     \
    }                                                                                              \
    T __tsan_atomic##n##_fetch_sub(volatile T* at, T v, int order) {                               \
        return modify(at, order, CALLER, [v](T x) noexcept { return static_cast<T>(x - v); });     \
    }                                                                                              \
    T __tsan_atomic##n##_fetch_and(volatile T* at, T v, int order) {                               \
        return modify(at, order, CALLER, [v](T x) noexcept { return static_cast<T>(x & v); });     \
    }                                                                                              \
    T __tsan_atomic##n##_fetch_or(volatile T* at, T v, int order) {                                \
        return modify(at, order, CALLER, [v](T x) noexcept { return static_cast<T>(x | v); });     \
    }                                                                                              \
    T __tsan_atomic##n##_fetch_xor(volatile T* at, T v, int order) {                               \
        return modify(at, order, CALLER, [v](T x) noexcept { return static_cast<T>(x ^ v); });     \
    }                                                                                              \
    T __tsan_atomic##n##_compare_exchange_val(volatile T* at, T expected, T desired, int order,    \
                                              int failure) {                                       \
        return compare_exchange(at, expected, desired, order, failure, CALLER);                    \
    }

extern "C" {

void __tsan_init() {}
void __sanitizer_syscall_pre_impl_close(long) {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)
ATOMIC(8, std::uint8_t)
ATOMIC(16, std::uint16_t)
ATOMIC(32, std::uint32_t)
ATOMIC(64, std::uint64_t)

void __tsan_vptr_read(void** at) { model::access(at, sizeof *at, false, false, CALLER); }
void __tsan_vptr_update(void** at, void* value) {
    if (*at != value) model::access(at, sizeof *at, true, false, CALLER);
}

void* __tsan_memcpy(void* to, const void* from, std::size_t size) {
    model::access(from, size, false, false, CALLER);
    model::access(to, size, true, false, CALLER);
    return std::memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, std::size_t size) {
    model::access(from, size, false, false, CALLER);
    model::access(to, size, true, false, CALLER);
    return std::memmove(to, from, size);
}
void* __tsan_memset(void* to, int value, std::size_t size) {
    model::access(to, size, true, false, CALLER);
    return std::memset(to, value, size);
}

void __tsan_atomic_thread_fence(int) {
    if (current != nullptr) model::fail("a fence, which the checker does not know");
}
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
// NOLINTEND
