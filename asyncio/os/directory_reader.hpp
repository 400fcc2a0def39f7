// SPDX-License-Identifier: MIT
//
// DirectoryReader: the entries of an open directory, one after the other. Blocks as the disk likes.
// Any thread, one at a time.
#pragma once

#include <asyncio/os/fd.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace asyncio::os {

struct DirectoryEntry {
    const char* name = "";  // until the next call
    std::uint64_t inode = 0;
    unsigned char type = 0;  // DT_...
};

class DirectoryReader {
  public:
    DirectoryReader() = default;
    DirectoryReader(DirectoryReader&& other) noexcept
        : stream_(std::exchange(other.stream_, nullptr)) {}
    DirectoryReader& operator=(DirectoryReader&& other) noexcept {
        std::swap(stream_, other.stream_);
        return *this;
    }
    ~DirectoryReader();

    /// Read `directory`, a descriptor opened with O_DIRECTORY; 0 or -errno.
    int begin(Fd directory);

    int fd() const noexcept;

    /// 1 and an entry, `.` and `..` left out; 0 at the end; or -errno.
    int next(DirectoryEntry& entry);

  private:
    struct Stream;
    Stream* stream_ = nullptr;  // ours
};

}  // namespace asyncio::os
