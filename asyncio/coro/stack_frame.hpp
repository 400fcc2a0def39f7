// SPDX-License-Identifier: MIT
//
// StackFrame: one level of an asynchronous stack, for people to read.
//
// Made when somebody asks, from what the promises record anyway: where each coroutine was created
// and at which co_await it stands. What a frame did between two awaits is recorded nowhere (that
// would cost something), so for one that is running, or that threw, the line is its last await:
// `exact` is false then.
//
// This is in `coro` because tasks and errors in flight both have such stacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

struct StackFrame {
    const char* function = "";  // as the compiler spells it: "asyncio::Coro<int> work(int)"
    const char* file = "";
    std::uint32_t line = 0;
    std::uint32_t left_out = 0;  // frames between this one and the next further in
    bool exact = true;           // false: at `line` or later
    bool is_coroutine = true;    // false: a plain function on top of the coroutines

    /// The function's bare name: "work".
    std::string name() const;
};

/// For functions that take a limit of frames.
inline constexpr std::size_t kWholeStack = static_cast<std::size_t>(-1);

/// `File "kitchen.cpp", line 12, in async chef()`
std::string to_string(const StackFrame& frame);

/// One line a frame, each indented by `indent` and ended with a newline.
std::string format_stack(std::span<const StackFrame> frames, std::string_view indent = "  ");

namespace coro {

class Driver;
class PromiseBase;

/// Where `frame` stands; `exact` as above.
StackFrame stack_frame(const PromiseBase& frame, bool exact) noexcept;

/// The frames of a chain, innermost first. `here`: it is running, and this is where the question
/// was asked; null: it is not running. Empty when the chain has ended.
std::vector<StackFrame> stack_of(const Driver& driver, const std::source_location* here);

/// "work" of "asyncio::Coro<int> n::work(int) [T = int]"; "main()::<lambda>" of a lambda.
std::string bare_function_name(std::string_view signature);

}  // namespace coro
}  // namespace asyncio
