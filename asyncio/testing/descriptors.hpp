// SPDX-License-Identifier: MIT
//
// OpenDescriptors: which descriptors this process has open, to find what somebody left behind.
//
//     const OpenDescriptors before;
//     ...
//     EXPECT_EQ(OpenDescriptors::since(before), std::vector<std::string>{});
//
// A descriptor is its number and what the system says stands behind it ("socket:[4711]"), so that a
// number used again is found, too. Threads: any; what other threads open meanwhile is seen as well.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace asyncio::testing {

class OpenDescriptors {
  public:
    /// Those that are open now.
    OpenDescriptors();

    /// "7 (socket:[4711])" for each one that is open now and was not in `before`. Waits up to a
    /// second for threads of the library that are about to close theirs. /dev/urandom, which
    /// libraries open once and keep, does not count.
    static std::vector<std::string> since(const OpenDescriptors& before);

  private:
    std::vector<std::string> not_in(const OpenDescriptors& before) const;

    std::vector<std::pair<int, std::string>> open_;
};

}  // namespace asyncio::testing
