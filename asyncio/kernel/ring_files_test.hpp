// SPDX-License-Identifier: MIT
//
// What the tests of small files share: how many files the rings of this process hold open in
// places of their own. No descriptor shows those; the system tells them of a ring.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace asyncio::kernel::testing {

inline int files_of_rings() {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;  // the descriptor that lists them
        const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
        if (target != "anon_inode:[io_uring]") continue;
        std::ifstream told("/proc/self/fdinfo/" + entry.path().filename().string());
        bool files = false;
        for (std::string line; std::getline(told, line);) {
            if (line.starts_with("UserBufs")) break;
            if (files && line.find(": ") != line.npos && !line.ends_with("<none>")) ++count;
            if (line.starts_with("UserFiles")) files = true;
        }
    }
    return count;
}

}  // namespace asyncio::kernel::testing
