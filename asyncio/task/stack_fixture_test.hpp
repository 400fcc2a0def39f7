// SPDX-License-Identifier: MIT
//
// What the tests of stacks and call graphs share: a nest of coroutines, and their names.
#pragma once

#include <asyncio/coro/stack_frame.hpp>
#include <asyncio/task/future.hpp>
#include <asyncio/task/task_fixture_test.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace asyncio::task_tests {

/// "name name", without namespaces and what stands before a lambda.
inline std::string names(const std::vector<StackFrame>& frames) {
    std::string text;
    for (const StackFrame& frame : frames) {
        std::string name = frame.name();
        if (name.ends_with("<lambda>")) name = "<lambda>";
        name = name.substr(name.rfind(':') == std::string::npos ? 0 : name.rfind(':') + 1);
        text += (text.empty() ? "" : " ") + name;
    }
    return text;
}

/// What `print` writes to the file it is given.
template <class F>
std::string printed(F&& print) {
    char* memory = nullptr;
    std::size_t size = 0;
    std::FILE* file = ::open_memstream(&memory, &size);
    print(file);
    std::fclose(file);
    std::string text(memory, size);
    std::free(memory);
    return text;
}

inline Coro<> innermost(Future<> gate) { co_await gate; }
inline Coro<> middle(Future<> gate) { co_await innermost(gate); }
inline Coro<> outermost(Future<> gate) { co_await middle(gate); }

template <class A>
Coro<> await_task(A awaitable) {
    co_await awaitable;
}

}  // namespace asyncio::task_tests
