// SPDX-License-Identifier: MIT
//
// An operator new that fails when a test says so. To be included by one file of a program, which
// gets it; under a sanitizer, which has one of its own, nothing ever fails, and the tests of a
// ScarceMemory are skipped.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ASYNCIO_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ASYNCIO_SANITIZED 1
#endif
#endif

namespace asyncio::memory_tests {

/// Of this thread: all allocations fail.
inline thread_local bool out_of_memory = false;
/// How many more allocations of this thread succeed before one fails; negative: all do.
inline thread_local int left_before_failure = -1;
/// Called when that one fails.
inline thread_local void (*before_failure)() = [] {};

inline bool fails() {
    if (out_of_memory) return true;
    if (left_before_failure < 0 || left_before_failure-- > 0) return false;
    before_failure();
    return true;
}

class ScarceMemory : public ::testing::Test {
  protected:
    void SetUp() override {
#ifdef ASYNCIO_SANITIZED
        GTEST_SKIP() << "a sanitizer has its own operator new";
#endif
    }
};

}  // namespace asyncio::memory_tests

#ifndef ASYNCIO_SANITIZED
[[gnu::noinline]] void* operator new(std::size_t size) {
    void* const memory =
        asyncio::memory_tests::fails() ? nullptr : std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
// Not inlined: GCC would see a free() of what came from new.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif
