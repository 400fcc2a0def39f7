// SPDX-License-Identifier: MIT
//
// File: an open file, read and written without blocking the loop.
//
//     auto file = co_await asyncio::open("notes.txt", "r");
//     auto lines = file.lines();
//     while (auto line = co_await lines.next()) use(*line);
//     co_await file.close();
//
//     co_await asyncio::with(asyncio::open("out.txt", "w"),
//                            [&](asyncio::File& f) -> Coro<> { co_await f.write("x"); });
//
// The modes are Python's; text and binary are the same: bytes as they are in the file. Reading and
// writing are buffered (OpenOptions::buffering); what was written is in the file for others after
// flush() or close(). Several tasks may use one file: each call has its turn, in the order of the
// calls.
//
// Lifetime: dropping a File writes what is buffered and closes, blocking, and can only log an
// error: close() it. A call that is going on keeps the file.
//
// Cancellation: what a cancelled read had taken is there for the next one; a cancelled write may
// have written a part. What was buffered by writes that returned stays until it could be written,
// also when the disk was full for a while.
//
// Errors: std::system_error naming call and path; std::invalid_argument after close(). Threads: the
// loop's.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/base/ref.hpp>
#include <asyncio/coro/coro.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace asyncio {

namespace file {
class FileCore;

/// Async iteration over lines, newline included.
class Lines {
  public:
    explicit Lines(Ref<FileCore> core) noexcept;
    Lines(Lines&&) noexcept;
    Lines& operator=(Lines&&) noexcept;
    ~Lines();

    /// The next line, or nullopt at the end of the file.
    Coro<std::optional<std::string>> next();

  private:
    Ref<FileCore> core_;
};
}  // namespace file

struct OpenOptions {
    unsigned permissions = 0666;           // of a file that is made, less the umask
    std::size_t buffering = 65536;         // bytes, for each direction; 0: none
    std::size_t longest_line = 64u << 20;  // bytes; see readline()
};

/// Where a seek counts from.
enum class Whence : std::uint8_t { start, current, end };

class File {
  public:
    /// No file; every call throws std::invalid_argument.
    File() noexcept;
    explicit File(Ref<file::FileCore> core) noexcept;
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    ~File();

    /// Takes over a descriptor, and closes it if this throws. `name` is for errors.
    /// std::system_error if it is none.
    static File from_fd(int fd, std::string_view name, OpenOptions options = {});

    /// Everything from here to the end.
    Coro<std::string> read() const;
    /// `size` bytes; fewer only at the end of the file.
    Coro<std::string> read(std::size_t size) const;
    /// As read(size), into `memory`, which must live until the read ends; the number of bytes.
    Coro<std::size_t> read_into(std::span<std::byte> memory) const;
    /// Through the next newline, or to the end; empty at the end of the file. std::invalid_argument
    /// for a line longer than OpenOptions::longest_line; nothing is taken then.
    Coro<std::string> readline() const;
    file::Lines lines() const;

    /// All of `data`, which must live until the write ends; its size. May stay in the buffer.
    Coro<std::size_t> write(std::string_view data) const;
    Coro<std::size_t> write(std::span<const std::byte> data) const;
    /// The same for a temporary, which is kept.
    template <std::same_as<std::string> String>
    ASYNCIO_CORO_WRAPPER Coro<std::size_t> write(String&& data) const {
        return write_owned(std::move(data));
    }

    /// At `offset`, without moving the position. Flushes first. As read(size).
    Coro<std::string> pread(std::size_t size, std::int64_t offset) const;
    Coro<std::size_t> pread_into(std::span<std::byte> memory, std::int64_t offset) const;
    Coro<std::size_t> pwrite(std::string_view data, std::int64_t offset) const;

    /// The new position. std::system_error (ESPIPE) for what has none.
    Coro<std::int64_t> seek(std::int64_t offset, Whence whence = Whence::start) const;
    Coro<std::int64_t> tell() const;
    /// Cut off or fill up with zeros; default: at the position. The position stays.
    Coro<std::int64_t> truncate(Option<std::int64_t> size = {}) const;

    /// Give what is buffered to the system.
    Coro<> flush() const;
    /// flush(), and wait until it is on the disk; `data_only`: without times and the like.
    Coro<> fsync(bool data_only = false) const;

    /// flush() and close. Closes also when the flush fails, which is then thrown. Idempotent.
    Coro<> close() const;
    bool closed() const noexcept;

    int fileno() const;
    const std::string& name() const;
    bool readable() const;
    bool writable() const;
    bool seekable() const;

    // For with().
    Coro<> aenter() const;
    Coro<bool> aexit(std::exception_ptr error) const;

  private:
    const Ref<file::FileCore>& core() const;
    Coro<std::size_t> write_owned(std::string data) const;

    Ref<file::FileCore> core_;
};

/// Open `path`. std::invalid_argument for a mode that is none; EISDIR for a directory.
/// A FIFO is opened for reading at once, and its first read waits for a writer; opened for writing
/// it waits for a reader.
Coro<File> open(std::string_view path, std::string_view mode = "r", OpenOptions options = {});
/// The same with the system's O_ flags; O_CLOEXEC is always on.
Coro<File> open(std::string_view path, int flags, OpenOptions options = {});

}  // namespace asyncio
