// SPDX-License-Identifier: MIT
#include <asyncio/base/intrusive_list.hpp>

#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

struct Second;
struct Item : IntrusiveListNode<Item>, IntrusiveListNode<Item, Second> {
    explicit Item(int n) : number(n) {}
    int number;
};
using List = IntrusiveList<Item>;

std::vector<int> numbers(List& list) {
    std::vector<int> found;
    list.for_each([&](Item& item) { found.push_back(item.number); });
    return found;
}

using Numbers = std::vector<int>;

TEST(IntrusiveList, pushes_and_pops_at_both_ends) {
    Item a(1), b(2), c(3);
    List list;
    EXPECT_TRUE(list.empty());
    list.push_back(b);
    list.push_back(c);
    list.push_front(a);
    EXPECT_EQ(numbers(list), (Numbers{1, 2, 3}));
    EXPECT_EQ(&list.front(), &a);
    EXPECT_EQ(&list.pop_front(), &a);
    EXPECT_FALSE(a.IntrusiveListNode<Item>::linked());
    EXPECT_EQ(numbers(list), (Numbers{2, 3}));
}

TEST(IntrusiveList, elements_leave_by_unlinking_and_by_dying) {
    List list;
    Item a(1), c(3);
    list.push_back(a);
    {
        Item b(2);
        list.push_back(b);
        list.push_back(c);
    }
    EXPECT_EQ(numbers(list), (Numbers{1, 3}));
    a.IntrusiveListNode<Item>::unlink();
    a.IntrusiveListNode<Item>::unlink();
    EXPECT_EQ(numbers(list), Numbers{3});
    list.push_back(a);
    EXPECT_EQ(numbers(list), (Numbers{3, 1}));
}

TEST(IntrusiveList, a_dying_list_lets_its_elements_go) {
    Item a(1);
    {
        List list;
        list.push_back(a);
    }
    EXPECT_FALSE(a.IntrusiveListNode<Item>::linked());
}

TEST(IntrusiveList, an_element_is_in_two_lists_by_tags) {
    Item a(1), b(2);
    List list;
    IntrusiveList<Item, Second> second;
    list.push_back(a);
    list.push_back(b);
    second.push_back(b);
    second.push_back(a);
    EXPECT_EQ(&second.pop_front(), &b);
    EXPECT_EQ(numbers(list), (Numbers{1, 2}));
}

TEST(IntrusiveList, splice_moves_everything_to_the_end) {
    Item a(1), b(2), c(3);
    List list;
    List other;
    list.splice_back(other);
    EXPECT_TRUE(list.empty());
    list.push_back(a);
    other.push_back(b);
    other.push_back(c);
    list.splice_back(other);
    EXPECT_TRUE(other.empty());
    EXPECT_EQ(numbers(list), (Numbers{1, 2, 3}));
    other.splice_back(list);
    EXPECT_EQ(numbers(other), (Numbers{1, 2, 3}));
    EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, the_visited_element_may_leave) {
    Item a(1), b(2), c(3);
    List list;
    for (Item* item : {&a, &b, &c}) list.push_back(*item);
    list.for_each([](Item& item) {
        if (item.number != 2) item.IntrusiveListNode<Item>::unlink();
    });
    EXPECT_EQ(numbers(list), Numbers{2});
}

}  // namespace
}  // namespace asyncio
