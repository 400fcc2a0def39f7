// SPDX-License-Identifier: MIT
//
// What a simulated disk keeps of a file, directory or symbolic link. Data only: disk.hpp has the
// rules.
#pragma once

#include <asyncio/testing/disk.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace asyncio::testing {

struct SimulatedInode {
    /// A write, or a truncation to `offset`.
    struct Change {
        std::uint64_t offset;
        std::string data;
        bool truncates = false;

        void apply_to(std::string& contents) const;
    };
    using Names = std::map<std::string, SimulatedInode*, std::less<>>;

    bool is_directory() const noexcept;
    bool is_file() const noexcept;
    bool is_symlink() const noexcept;

    std::uint64_t number = 0;
    unsigned mode = 0;     // with its type
    std::string contents;  // as seen; of a symbolic link: where it leads
    std::string saved;
    std::vector<Change> unsaved;
    Names names;  // of a directory
    Names saved_names;
    SimulatedInode* parent = nullptr;  // of a directory
    unsigned links = 0;                // names it has
    bool reachable = false;            // for forget_unreachable()
    TimePoint created{};
    TimePoint modified{};
    TimePoint changed{};
};

}  // namespace asyncio::testing
