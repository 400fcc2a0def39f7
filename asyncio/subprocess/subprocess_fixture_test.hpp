// SPDX-License-Identifier: MIT
//
// What the tests of programs share: nothing may be left of any.
#pragma once

#include <asyncio/subprocess/process.hpp>

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <dirent.h>
#include <sys/wait.h>

namespace asyncio::subprocess_tests {

using namespace std::chrono_literals;

inline int open_descriptors() {
    int count = 0;
    DIR* directory = ::opendir("/proc/self/fd");
    while (::readdir(directory) != nullptr) ++count;
    ::closedir(directory);
    return count;
}

/// No child is left, dead or alive.
inline bool no_children() {
    siginfo_t info = {};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD;
}

/// Each test leaves neither children nor descriptors behind.
class Subprocess : public ::testing::Test {
  protected:
    void SetUp() override { descriptors_ = open_descriptors(); }
    void TearDown() override {
        EXPECT_TRUE(no_children());
        EXPECT_EQ(open_descriptors(), descriptors_);
    }

  private:
    int descriptors_ = 0;
};

inline Coro<Communicated> shell(std::string command, std::string input = {}) {
    Process process = co_await create_subprocess_shell(
        {.stdin_ = PIPE, .stdout_ = PIPE, .stderr_ = PIPE}, command);
    Communicated result = co_await process.communicate(std::move(input));
    co_return result;
}

}  // namespace asyncio::subprocess_tests
