// SPDX-License-Identifier: MIT
#include <asyncio/os/fd.hpp>
#include <asyncio/os/fork.hpp>

#include <utility>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio::os {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(Fd, closes_what_it_owns_once) {
    const int number = ::dup(0);
    {
        Fd first(number);
        Fd second = std::move(first);
        EXPECT_FALSE(first);
        EXPECT_EQ(second.get(), number);
        second = Fd(second.release());
        EXPECT_TRUE(is_open(number));
    }
    EXPECT_FALSE(is_open(number));
    Fd none;
    none.reset();
    EXPECT_EQ(none.get(), -1);
}

TEST(Fork, A17_the_generation_tells_parent_from_child) {
    const std::uint32_t here = fork_generation();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(fork_generation() == here + 1 ? 0 : 1);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(fork_generation(), here);
}

}  // namespace
}  // namespace asyncio::os
