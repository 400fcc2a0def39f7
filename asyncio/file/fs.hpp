// SPDX-License-Identifier: MIT
//
// What the file system knows by name, without blocking the loop; Python's os and os.path.
//
//     if (co_await asyncio::fs::exists("notes.txt")) co_await asyncio::fs::rename("notes.txt",
//     "old.txt");
//
// Errors: std::system_error, "rename notes.txt -> old.txt: No such file or directory". The
// predicates (exists, is_file, ...) answer false for what cannot be reached by its name (ENOENT,
// ENOTDIR, ELOOP) and throw for everything else.
//
// Cancellation: a cancelled task goes on when the system has answered; what was done is done.
// Threads: the loop's.
#pragma once

#include <asyncio/base/time.hpp>
#include <asyncio/coro/coro.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace asyncio::fs {

/// Since 1970, UTC.
using SystemTime = std::chrono::sys_time<std::chrono::nanoseconds>;

struct FileStatus {
    std::uint64_t size = 0;  // bytes
    std::uint64_t inode = 0;
    std::uint64_t device = 0;
    std::uint64_t links = 0;
    std::uint64_t blocks = 0;  // of 512 bytes that are really taken
    unsigned mode = 0;         // S_IF... and permissions
    unsigned user = 0;
    unsigned group = 0;
    SystemTime accessed;
    SystemTime modified;
    SystemTime changed;
    SystemTime created;  // 1970 where the file system does not know

    bool is_file() const noexcept;
    bool is_dir() const noexcept;
    bool is_symlink() const noexcept;
    unsigned permissions() const noexcept { return mode & 07777u; }
};

/// Of what `path` leads to.
Coro<FileStatus> stat(std::string_view path);
/// Of the symbolic link itself, if it is one.
Coro<FileStatus> lstat(std::string_view path);

Coro<bool> exists(std::string_view path);
Coro<bool> is_file(std::string_view path);
Coro<bool> is_dir(std::string_view path);
Coro<bool> is_symlink(std::string_view path);
Coro<std::uint64_t> getsize(std::string_view path);

/// Replaces `to` if it is there, at once for everybody who looks.
Coro<> rename(std::string_view from, std::string_view to);
/// A file or a symbolic link; a directory is EISDIR.
Coro<> remove(std::string_view path);
/// An empty directory.
Coro<> rmdir(std::string_view path);
Coro<> mkdir(std::string_view path, unsigned permissions = 0777);

struct MakedirsOptions {
    unsigned permissions = 0777;
    bool exist_ok = false;
};
/// The directory and those above it that are missing.
Coro<> makedirs(std::string_view path, MakedirsOptions options = {});

/// Wait until the names in `path` are on the disk: File::fsync() saves a file and not its name, so
/// a program that makes a file which must survive a power cut needs both. write_atomic() does it.
Coro<> sync_directory(std::string_view path);

/// `link` becomes a symbolic link that says `target`.
Coro<> symlink(std::string_view target, std::string_view link);
/// `link` becomes another name of the file `existing`.
Coro<> link(std::string_view existing, std::string_view link);
Coro<std::string> readlink(std::string_view path);
/// Absolute, without symbolic links, `.` and `..`. Everything must exist.
Coro<std::string> realpath(std::string_view path);
Coro<> chmod(std::string_view path, unsigned permissions);

}  // namespace asyncio::fs
