// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/exception_group.hpp>

#include <stdexcept>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

using Pointers = std::vector<std::exception_ptr>;

std::exception_ptr runtime(const char* what) {
    return std::make_exception_ptr(std::runtime_error(what));
}
std::exception_ptr range(const char* what) {
    return std::make_exception_ptr(std::out_of_range(what));
}

/// "a, (b, c)".
std::string list(const BaseExceptionGroup& group);

std::string name(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const BaseExceptionGroup& group) {
        return "(" + list(group) + ")";
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return describe(error);
    }
}
std::string list(const BaseExceptionGroup& group) {
    std::string text;
    for (const auto& e : group.exceptions()) text += (text.empty() ? "" : ", ") + name(e);
    return text;
}
template <class Group>
std::string list(const std::optional<Group>& group) {
    return group ? group->message() + ": " + list(*group) : "none";
}

ExceptionGroup sample() {
    const auto inner = make_exception_group("inner", Pointers{range("b"), runtime("c")});
    return ExceptionGroup("outer", {runtime("a"), inner, range("d")});
}

TEST(ExceptionGroup, is_a_std_exception_and_a_base_group) {
    EXPECT_THROW(throw sample(), std::exception);
    EXPECT_THROW(throw sample(), BaseExceptionGroup);
    EXPECT_THROW(throw BaseExceptionGroup("b", {runtime("a")}), BaseExceptionGroup);
    EXPECT_EQ(sample().message(), "outer");
    EXPECT_EQ(list(sample()), "a, (b, c), d");
}

TEST(ExceptionGroup, what_is_the_tree) {
    EXPECT_STREQ(sample().what(),
                 "outer (3 sub-exceptions)\n"
                 "+- std::runtime_error: a\n"
                 "+- asyncio::ExceptionGroup: inner (2 sub-exceptions)\n"
                 "|  +- std::out_of_range: b\n"
                 "|  +- std::runtime_error: c\n"
                 "+- std::out_of_range: d");
    EXPECT_STREQ(ExceptionGroup("one", {runtime("two\nlines")}).what(),
                 "one (1 sub-exception)\n"
                 "+- std::runtime_error: two\n"
                 "   lines");
}

TEST(ExceptionGroup, what_names_the_causes) {
    std::exception_ptr chained;
    try {
        try {
            throw std::out_of_range("no such key");
        } catch (const std::exception&) {
            std::throw_with_nested(std::runtime_error("cannot load"));
        }
    } catch (...) {
        chained = std::current_exception();
    }
    const std::string text = ExceptionGroup("g", {chained, runtime("x")}).what();
    EXPECT_NE(text.find("cannot load\n|  caused by std::out_of_range: no such key\n+- "),
              std::string::npos)
        << text;
}

TEST(ExceptionGroup, is_described_with_its_tree) {
    EXPECT_EQ(describe(std::make_exception_ptr(ExceptionGroup("g", {runtime("x")}))),
              "asyncio::ExceptionGroup: g (1 sub-exception)\n+- std::runtime_error: x");
    EXPECT_EQ(describe(std::make_exception_ptr(BaseExceptionGroup("g", {runtime("x")}))),
              "asyncio::BaseExceptionGroup: g (1 sub-exception)\n+- std::runtime_error: x");
}

TEST(ExceptionGroup, needs_contents_of_the_right_kind) {
    EXPECT_THROW(ExceptionGroup("g", {}), std::invalid_argument);
    EXPECT_THROW(ExceptionGroup("g", {nullptr}), std::invalid_argument);
    EXPECT_THROW(BaseExceptionGroup("g", {}), std::invalid_argument);
    const auto cancelled = std::make_exception_ptr(CancelledError());
    EXPECT_THROW(ExceptionGroup("g", {cancelled}), std::invalid_argument);
    EXPECT_EQ(list(BaseExceptionGroup("g", {cancelled})), "CancelledError");
}

TEST(ExceptionGroup, make_chooses_the_kind) {
    const auto standard = make_exception_group("g", {runtime("x")});
    EXPECT_THROW(std::rethrow_exception(standard), ExceptionGroup);
    const auto number = make_exception_group("g", {runtime("x"), std::make_exception_ptr(3)});
    const auto nested = make_exception_group("g", {number});
    for (const auto& error : {number, nested}) {
        EXPECT_THROW(std::rethrow_exception(error), BaseExceptionGroup);
        bool standard_error = false;
        try {
            std::rethrow_exception(error);
        } catch (const std::exception&) {
            standard_error = true;
        } catch (const BaseExceptionGroup&) {
        }
        EXPECT_FALSE(standard_error);
    }
}

TEST(ExceptionGroup, split_by_type_keeps_nesting_and_messages) {
    const auto [match, rest] = sample().split<std::out_of_range>();
    EXPECT_EQ(list(match), "outer: (b), d");
    EXPECT_EQ(list(rest), "outer: a, (c)");
    static_assert(std::is_same_v<decltype(match), const std::optional<ExceptionGroup>>);
    const auto nothing = sample().split<std::system_error>();
    EXPECT_EQ(list(nothing.match), "none");
    EXPECT_EQ(list(nothing.rest), "outer: a, (b, c), d");
    const auto all = sample().split<std::exception>();
    EXPECT_EQ(list(all.match), "outer: a, (b, c), d");
    EXPECT_EQ(list(all.rest), "none");
    EXPECT_EQ(list(sample().split<ExceptionGroup>().match), "outer: a, (b, c), d");
}

TEST(ExceptionGroup, subgroup_by_predicate) {
    const auto is_c = [](const std::exception_ptr& e) { return name(e) == "c"; };
    EXPECT_EQ(list(sample().subgroup(is_c)), "outer: (c)");
    EXPECT_EQ(list(sample().subgroup<std::system_error>()), "none");
    const auto is_inner = [](const std::exception_ptr& e) { return name(e) == "(b, c)"; };
    EXPECT_EQ(list(sample().split(is_inner).rest), "outer: a, d");
}

TEST(ExceptionGroup, what_is_left_of_a_base_group_is_raised_as_what_it_is) {
    const BaseExceptionGroup mixed("g", {runtime("x"), std::make_exception_ptr(3)});
    const auto [ints, others] = mixed.split<int>();
    ASSERT_TRUE(ints && others);
    EXPECT_EQ(list(*ints), "int");
    EXPECT_THROW(others->raise(), ExceptionGroup);
    EXPECT_THROW(ints->raise(), BaseExceptionGroup);
}

TEST(ExceptionGroup, copies_share_the_contents) {
    const ExceptionGroup group = sample();
    ExceptionGroup copy = group;
    EXPECT_EQ(&copy.exceptions(), &group.exceptions());
    copy = ExceptionGroup("other", {runtime("x")});
    EXPECT_EQ(list(copy), "x");
    EXPECT_EQ(list(group), "a, (b, c), d");
}

}  // namespace
}  // namespace asyncio
