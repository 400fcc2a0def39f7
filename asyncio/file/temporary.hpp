// SPDX-License-Identifier: MIT
//
// Temporary files and directories; Python's tempfile.
//
//     auto file = co_await asyncio::fs::temporary_file();            // no name, gone when closed
//     co_await asyncio::with(asyncio::fs::TemporaryDirectory(),
//                            [&](const std::string& path) -> Coro<> { ... });
//
// They are made in `directory`, else where TMPDIR says, else in /tmp, for our user alone; names
// have 64 random bits and are never taken over from somebody else (O_EXCL).
//
// Threads: the loop's.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/file/file.hpp>

#include <string>
#include <string_view>

namespace asyncio::fs {

struct TemporaryOptions {
    std::string_view prefix = "tmp";
    std::string_view suffix = {};
    std::string_view directory = {};
};

/// A name nobody has, beginning with `path`, removed (blocking) when this goes, unless kept.
class TemporaryName {
  public:
    explicit TemporaryName(std::string_view path, std::string_view suffix = {});
    TemporaryName(TemporaryName&& other) noexcept;
    TemporaryName& operator=(TemporaryName&& other) noexcept;
    ~TemporaryName() { remove(); }

    const std::string& name() const noexcept { return name_; }
    void keep() noexcept { name_.clear(); }

  private:
    void remove() noexcept;
    std::string name_;
};

/// Open for both directions, without a name; gone when closed.
Coro<File> temporary_file(TemporaryOptions options = {});

/// An open file with a name (`name()`), removed when it goes. close() it before.
class NamedFile : public File {
  public:
    NamedFile(File file, TemporaryName name) noexcept
        : File(std::move(file)), temporary_(std::move(name)) {}
    /// The file stays when this goes.
    void keep() noexcept { temporary_.keep(); }

  private:
    TemporaryName temporary_;
};
Coro<NamedFile> named_temporary_file(TemporaryOptions options = {});

/// Make a directory; its path. The caller removes it.
Coro<std::string> mkdtemp(TemporaryOptions options = {});

/// For with(): a directory that is removed with everything in it at the end, also when the task is
/// cancelled meanwhile: it goes on when the directory is gone.
class TemporaryDirectory {
  public:
    explicit TemporaryDirectory(TemporaryOptions options = {});

    Coro<std::string> aenter();
    Coro<bool> aexit(std::exception_ptr error);

  private:
    std::string path_;  // before aenter(): what it begins with
    std::string suffix_;
};

}  // namespace asyncio::fs
