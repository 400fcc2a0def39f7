// SPDX-License-Identifier: MIT
#include <asyncio/os/file.hpp>

#include <cerrno>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>

namespace asyncio::os {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(CloseAll, closes_what_it_is_given_and_nothing_between) {
    const int first = ::fcntl(0, F_DUPFD_CLOEXEC, 500);
    for (int fd = first + 1; fd < first + 10; ++fd) ASSERT_EQ(::dup2(0, fd), fd);
    std::vector<int> some = {first + 7, first + 2, first, first + 5, first + 1, first + 8};
    errno = ENOENT;
    close_all(some);
    EXPECT_EQ(errno, ENOENT);
    for (const int fd : some) EXPECT_FALSE(is_open(fd)) << fd - first;
    std::vector<int> others = {first + 3, first + 4, first + 6, first + 9};
    for (const int fd : others) EXPECT_TRUE(is_open(fd)) << fd - first;
    close_all(others);
    for (const int fd : others) EXPECT_FALSE(is_open(fd)) << fd - first;
    close_all({});
}

}  // namespace
}  // namespace asyncio::os
