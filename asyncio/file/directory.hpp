// SPDX-License-Identifier: MIT
//
// Directories: what is in them.
//
//     auto entries = co_await asyncio::fs::scandir("photos");
//     while (auto entry = co_await entries.next()) use(entry->name);
//
// The order is the system's. Entries are read kBatch at a time by a thread; what is added or
// removed meanwhile may be seen or not. A Directory that is dropped closes.
//
// Errors: std::system_error naming the path. Cancellation: loses no entry. Threads: the loop's.
#pragma once

#include <asyncio/base/shared.hpp>
#include <asyncio/coro/coro.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::fs {

struct DirEntry {
    enum class Type : std::uint8_t { unknown, file, directory, symlink, other };

    std::string name;
    std::string path;  // the directory's, a slash, the name
    std::uint64_t inode = 0;
    Type type = Type::unknown;  // unknown: where the file system does not tell; ask lstat()

    bool is_file() const noexcept { return type == Type::file; }
    bool is_dir() const noexcept { return type == Type::directory; }
    bool is_symlink() const noexcept { return type == Type::symlink; }
};

/// An async iterator over the entries of a directory, `.` and `..` left out.
class Directory {
  public:
    static constexpr std::size_t kBatch = 512;

    struct Stream;
    explicit Directory(Shared<Stream> stream) noexcept;
    Directory(Directory&&) noexcept;
    Directory& operator=(Directory&&) noexcept;
    ~Directory();

    Coro<std::optional<DirEntry>> next();

  private:
    Shared<Stream> stream_;
};

Coro<Directory> scandir(std::string_view path = ".");

/// The names alone, at once.
Coro<std::vector<std::string>> listdir(std::string_view path = ".");

/// What walk() tells of one directory.
struct WalkStep {
    std::string path;
    std::vector<std::string> directories;  // those to be visited: may be shortened by the caller
    std::vector<std::string> files;        // all that is no directory
};

/// An async iterator over a tree, top down. Symbolic links are not followed. Directories that
/// cannot be read are left out, as Python's os.walk() does.
///
///     auto walk = asyncio::fs::walk("src");
///     while (auto* step = co_await walk.next()) std::erase(step->directories, ".git");
class Walk {
  public:
    explicit Walk(std::string root);

    /// The next directory, or null; valid until the next call.
    Coro<WalkStep*> next();

  private:
    std::vector<std::string> todo_;  // innermost last
    WalkStep step_;
    bool has_step_ = false;  // the last next() gave it
};

Walk walk(std::string_view root);

/// Remove a directory and everything in it; symbolic links are removed, not followed.
Coro<> rmtree(std::string_view path);

}  // namespace asyncio::fs
