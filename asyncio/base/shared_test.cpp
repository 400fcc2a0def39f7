// SPDX-License-Identifier: MIT
#include <asyncio/base/shared.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

using namespace asyncio;

namespace {

struct Base {  // no virtual destructor
    int number = 7;
};
struct Counted : Base {
    explicit Counted(std::atomic<int>& n) noexcept : alive(n) { ++alive; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --alive; }

    std::atomic<int>& alive;
};

struct NeverDefined;
struct HasIncomplete {
    Shared<NeverDefined> nothing;
};

static_assert(std::is_nothrow_move_constructible_v<Shared<int>>);
static_assert(!std::is_constructible_v<Shared<int>, Shared<long>>);
static_assert(!std::is_constructible_v<Shared<Counted>, Shared<Base>>);
static_assert(!std::is_constructible_v<Shared<Counted>, std::unique_ptr<Base>>);
static_assert(!std::is_constructible_v<Shared<Counted>, std::shared_ptr<Base>>);

TEST(Shared, the_last_owner_destroys_the_object) {
    std::atomic<int> alive = 0;
    Shared<Counted> a = Shared<Counted>::make(alive);
    Shared<Counted> b = a;
    EXPECT_EQ(a, b);
    a = nullptr;
    EXPECT_EQ(a, nullptr);
    EXPECT_EQ(alive, 1);
    b = std::move(a);
    EXPECT_FALSE(b);
    EXPECT_EQ(alive, 0);
}

TEST(Shared, a_moved_one_is_empty_and_assignment_to_itself_keeps) {
    std::atomic<int> alive = 0;
    Shared<Counted> a = Shared<Counted>::make(alive);
    Shared<Counted> b = std::move(a);
    EXPECT_EQ(a.get(), nullptr);
    const Shared<Counted>& same = b;
    b = same;
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(b->number, 7);
}

TEST(Shared, an_owner_of_a_base_or_of_void_destroys_the_whole) {
    std::atomic<int> alive = 0;
    Shared<const Base> base = Shared<Counted>::make(alive);
    Shared<void> anything = base == nullptr ? nullptr : Shared<Counted>::make(alive);
    EXPECT_EQ((*base).number, 7);
    EXPECT_EQ(alive, 2);
    anything = nullptr;
    base = nullptr;
    EXPECT_EQ(alive, 0);
}

TEST(Shared, a_std_shared_ptr_is_kept) {
    std::atomic<int> alive = 0;
    auto theirs = std::make_shared<Counted>(alive);
    Shared<Base> ours = theirs;
    EXPECT_EQ(ours.get(), theirs.get());
    EXPECT_EQ(theirs.use_count(), 2);
    theirs.reset();
    EXPECT_EQ(alive, 1);
    ours = nullptr;
    EXPECT_EQ(alive, 0);
    EXPECT_FALSE(Shared<Base>(std::shared_ptr<Counted>()));
    EXPECT_FALSE(HasIncomplete().nothing);
}

TEST(Shared, a_std_unique_ptr_is_kept) {
    std::atomic<int> alive = 0;
    Shared<Base> ours = std::make_unique<Counted>(alive);
    EXPECT_EQ(ours->number, 7);
    EXPECT_EQ(alive, 1);
    ours = nullptr;
    EXPECT_EQ(alive, 0);
    EXPECT_FALSE(Shared<Base>(std::unique_ptr<Counted>()));
}

TEST(Shared, an_object_that_looks_at_its_owner_when_it_dies_sees_the_next) {
    struct Looks {
        ~Looks() {
            if (owner != nullptr) *seen = owner->get();
        }
        Shared<Looks>* owner = nullptr;
        Looks** seen = nullptr;
    };
    Looks* seen = nullptr;
    Shared<Looks> owner = Shared<Looks>::make();
    owner->seen = &seen;
    owner->owner = &owner;
    const Shared<Looks> next = Shared<Looks>::make();
    owner = next;
    EXPECT_EQ(seen, next.get());
}

TEST(Shared, any_thread_may_be_the_last) {
    std::atomic<int> alive = 0;
    for (int round = 0; round < 100; ++round) {
        Shared<Counted> first = Shared<Counted>::make(alive);
        std::vector<std::thread> threads;
        for (int i = 0; i < 3; ++i)
            threads.emplace_back([mine = first] {
                for (int n = 0; n < 100; ++n) const Shared<Base> copy = mine;
            });
        first = nullptr;
        for (std::thread& thread : threads) thread.join();
        ASSERT_EQ(alive, 0);
    }
}

}  // namespace
