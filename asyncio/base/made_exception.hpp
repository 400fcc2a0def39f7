// SPDX-License-Identifier: MIT
//
// MadeException: an exception that is made in one function and thrown in another.
//
//     throw_made(make_cancelled());  // in line; make_cancelled() is not
//
// `throw E(...)` allocates, constructs and throws where it stands. A function that may throw keeps
// the object, and what it is made of, over those calls: in a coroutine that is two registers more
// that each turn saves and restores, though nothing is thrown, and that the unwinder reads of when
// something is. To throw in a function of its own is a frame more to unwind, which costs a fifth of
// a throw. So the two halves stand apart here. They are what the compiler makes of `throw` itself:
// __cxa_allocate_exception and __cxa_throw of the Itanium C++ ABI (sections 2.4.2 and 2.4.3).
#pragma once

#include <new>
#include <type_traits>
#include <typeinfo>
#include <utility>

#include <cxxabi.h>

namespace asyncio {

/// In the memory that exceptions are thrown from. Thrown exactly once, or it is leaked. It brings
/// its type along: who throws may be compiled without RTTI.
template <class E>
struct MadeException {
    void* object;
    std::type_info* type;
};

#ifdef __cpp_rtti  // who only throws needs none
template <class E, class... Args>
MadeException<E> make_exception(Args&&... args) noexcept {
    static_assert(std::is_nothrow_constructible_v<E, Args&&...>);
    void* memory = abi::__cxa_allocate_exception(sizeof(E));
    return {::new (memory) E(std::forward<Args>(args)...), const_cast<std::type_info*>(&typeid(E))};
}
#endif

template <class E>
void destroy_thrown(void* object) {
    static_cast<E*>(object)->~E();
}

template <class E>
[[noreturn, gnu::always_inline]] inline void throw_made(MadeException<E> made) {
    abi::__cxa_throw(made.object, made.type, &destroy_thrown<E>);
}

}  // namespace asyncio
