// SPDX-License-Identifier: MIT
#include <asyncio/coro/coro.hpp>
#include <asyncio/coro/stack_frame.hpp>

#include <string>

#include <gtest/gtest.h>

namespace asyncio::coro {
namespace {

TEST(BareFunctionName, is_what_stands_between_return_type_and_parameters) {
    EXPECT_EQ(bare_function_name("Coro<int *> n::noargs()"), "n::noargs");
    EXPECT_EQ(bare_function_name("Coro<int> n::S::mem(int, const char *) const"), "n::S::mem");
    EXPECT_EQ(bare_function_name("Coro<> S::f(void (*)(int)) const &"), "S::f");
    EXPECT_EQ(bare_function_name("Coro<T> n::temp(T) [T = int]"), "n::temp");
    EXPECT_EQ(bare_function_name("Coro<T> n::temp(T) [with T = std::vector<int[3]>]"), "n::temp");
    EXPECT_EQ(bare_function_name("Coro<> n::Box<std::pair<int, int> >::get()"),
              "n::Box<std::pair<int, int> >::get");
    EXPECT_EQ(bare_function_name("Coro<> n::(anonymous namespace)::f(int)"), "n::f");
    EXPECT_EQ(bare_function_name("Coro<> n::{anonymous}::f(int)"), "n::f");
}

TEST(BareFunctionName, GRPH_01_lambdas_are_called_the_same_by_both_compilers) {
    EXPECT_EQ(bare_function_name("auto main()::(anonymous class)::operator()(int) const"),
              "main()::<lambda>");
    EXPECT_EQ(bare_function_name("main()::<lambda(int)>"), "main()::<lambda>");
    EXPECT_EQ(bare_function_name("void main()::<lambda(int)>::operator()(main()::<lambda(int)>::_Z"
                                 ".Frame*)"),
              "main()::<lambda>");
    EXPECT_EQ(bare_function_name("auto main()::(anonymous class)::operator()(auto) const "
                                 "[x:auto = int]"),
              "main()::<lambda>");
}

TEST(BareFunctionName, what_it_cannot_read_stays_as_it_is) {
    EXPECT_EQ(bare_function_name("main"), "main");
    EXPECT_EQ(bare_function_name(""), "");
    EXPECT_EQ(bare_function_name("()"), "()");
    EXPECT_EQ(bare_function_name(")"), ")");
    EXPECT_EQ(bare_function_name("]"), "]");
    EXPECT_EQ(bare_function_name("f::<lambda("), "f::<lambda>");
}

TEST(StackFrame, is_written_as_a_line_for_people) {
    StackFrame frame{.function = "Coro<int> n::work(int)", .file = "work.cpp", .line = 12};
    EXPECT_EQ(to_string(frame), "File \"work.cpp\", line 12, in async n::work()");
    frame.exact = false;
    EXPECT_EQ(to_string(frame), "File \"work.cpp\", line 12 or later, in async n::work()");
    frame.is_coroutine = false;
    frame.exact = true;
    EXPECT_EQ(format_stack({{frame, frame}}, "> "),
              "> File \"work.cpp\", line 12, in n::work()\n"
              "> File \"work.cpp\", line 12, in n::work()\n");
}

Coro<int> five() { co_return 5; }

TEST(StackFrame, of_a_coroutine_that_has_not_begun_is_where_it_was_written) {
    Coro<int> coro = five();
    PromiseBase& promise = coro.release();
    const FrameOwner owner(&promise);
    const StackFrame frame = stack_frame(promise, true);
    EXPECT_EQ(frame.name(), "asyncio::coro::five");
    EXPECT_NE(std::string(frame.file).find("stack_frame_test.cpp"), std::string::npos);
    EXPECT_EQ(frame.line, promise.created().line());
}

}  // namespace
}  // namespace asyncio::coro
