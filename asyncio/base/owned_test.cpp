// SPDX-License-Identifier: MIT
#include <asyncio/base/owned.hpp>

#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

using namespace asyncio;

namespace {

struct Counted {
    explicit Counted(int& alive) noexcept : alive_(alive) { ++alive_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    virtual ~Counted() { --alive_; }

    int& alive_;
};
struct Derived final : Counted {
    using Counted::Counted;
};

int in_arrays = 0;
struct InArray {
    InArray() noexcept { ++in_arrays; }
    ~InArray() { --in_arrays; }
    int number = 0;
};

TEST(Owned, destroys_once_and_moves_without_a_copy) {
    int alive = 0;
    {
        Owned<Counted> base = make_owned<Derived>(alive);
        Owned<Counted> other;
        EXPECT_FALSE(other);
        other = std::move(base);
        EXPECT_FALSE(base);
        EXPECT_EQ(alive, 1);
        other = make_owned<Counted>(alive);
        EXPECT_EQ(alive, 1);
        other.reset(other.release());
        EXPECT_EQ(other.get(), &*other);
        const Owned<Counted> last(std::move(other));
        EXPECT_EQ(alive, 1);
    }
    EXPECT_EQ(alive, 0);
    static_assert(!std::is_copy_constructible_v<Owned<Counted>>);
    static_assert(!std::is_convertible_v<Owned<Counted>, Owned<Derived>>);
    static_assert(sizeof(Owned<Counted>) == sizeof(void*));
}

TEST(Owned, its_own_value_moved_into_it_stays) {
    int alive = 0;
    Owned<Counted> object = make_owned<Counted>(alive);
    Owned<Counted>& same = object;
    object = std::move(same);
    EXPECT_TRUE(object);
    EXPECT_EQ(alive, 1);
}

TEST(Owned, an_array_is_destroyed_whole) {
    {
        Owned<InArray[]> array(new InArray[3]);
        EXPECT_EQ(in_arrays, 3);
        array[2].number = 7;
        const Owned<InArray[]> moved = std::move(array);
        EXPECT_EQ(moved[2].number, 7);
    }
    EXPECT_EQ(in_arrays, 0);
}

}  // namespace
