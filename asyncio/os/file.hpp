// SPDX-License-Identifier: MIT
//
// What is asked of files besides FileCalls: at once, because it waits for no disk (what a
// descriptor is and where it stands), or on a thread that may block. Results are >= 0 or -errno.
// Any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

struct stat;

namespace asyncio::os {

/// 0 or -errno.
int file_status(int fd, struct stat& status) noexcept;
int path_status(const char* path, struct stat& status) noexcept;

/// The new position.
std::int64_t seek(int fd, std::int64_t offset, int whence) noexcept;

/// The O_ flags it was opened with, and has now.
int open_flags(int fd) noexcept;

int set_mode(int fd, unsigned mode) noexcept;
int set_mode(const char* path, unsigned mode) noexcept;
int set_size(int fd, std::int64_t size) noexcept;
int remove_file(const char* path) noexcept;

int read_link(const char* path, std::string& target);
int real_path(const char* path, std::string& real);

/// Make `out` share the blocks of `in`; false where the file system cannot.
bool share_blocks(int in, int out) noexcept;

/// Close all of `fds`, which are put in order: numbers that follow each other go in one call where
/// the system has one for that (Linux 5.9).
void close_all(std::span<int> fds) noexcept;

}  // namespace asyncio::os
