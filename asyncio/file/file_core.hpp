// SPDX-License-Identifier: MIT
//
// FileCore: descriptor, position and buffers behind a File.
//
// What can be sought (regular files, disks) is read and written at `position_`, which is ours: the
// system's own position never moves. So a call whose result was lost to a cancellation has changed
// nothing that counts: a read is made again, and a flush writes the same bytes to the same place.
// Appending (O_APPEND) has no place; such a write is not asked to end when it is cancelled.
//
// What cannot be sought (FIFOs, terminals, devices) is waited for with a poll, and then read or
// written at once. So a FIFO nobody has opened for writing yet is waited for, too.
//
//     file:     |.............|=========|...................|#######|
//                             ^position_ - unread           ^position_: where `written_` goes
//     `unread_` holds what was read ahead, and ends at position_; or `written_` holds what is still
//     to be written, and begins at position_. Never both: whoever changes direction drops the one
//     (position_ goes back) or flushes the other.
//
// All calls hold `lock_`, so they do not mix. Threads: the loop's.
#pragma once

#include <asyncio/base/ref.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/file/file.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/sync/lock.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace asyncio::file {

class FileCore : public RefCounted {
  public:
    FileCore(os::Fd fd, std::string name, int flags, OpenOptions options);
    ~FileCore();
    void destroy() noexcept { delete this; }

    int fd() const noexcept { return fd_.get(); }
    const std::string& name() const noexcept { return name_; }
    bool closed() const noexcept { return !fd_; }
    bool seekable() const noexcept { return seekable_; }
    bool readable() const noexcept { return readable_; }
    bool writable() const noexcept { return writable_; }
    std::size_t buffer_size() const noexcept { return buffer_size_; }
    std::size_t longest_line() const noexcept { return longest_line_; }
    std::int64_t position() const noexcept {
        return position_ - static_cast<std::int64_t>(unread().size()) +
               static_cast<std::int64_t>(written_.size());
    }
    Lock& lock() noexcept { return lock_; }

    void require_open() const;
    void require_readable() const;
    void require_writable() const;
    void require_seekable(const char* call) const;

    // The following want the lock.

    std::string_view unread() const noexcept {
        return std::string_view(unread_).substr(unread_start_);
    }
    /// Take from what was read ahead.
    void consume(std::size_t count) noexcept;
    void put_back(std::string_view data);
    /// Read more ahead; the number of bytes, 0 at the end.
    Coro<std::size_t> read_ahead();
    /// One read past what was read ahead (which must be empty).
    Coro<std::size_t> read_once(std::span<std::byte> memory);
    /// True if a read of `wanted` that gave `got` has met the end: no other read need ask.
    bool is_end(std::size_t wanted, std::size_t got) const noexcept;
    /// Bytes from the position to the end of a regular file, as a hint; 0 if unknown.
    std::size_t size_ahead() const noexcept;

    /// Forget what was read ahead: the next write comes where the reader stands.
    void turn_to_writing() noexcept;
    void buffer_write(std::string_view data) { written_ += data; }
    std::size_t room_to_write() const noexcept;
    Coro<> flush();
    /// All of `data`, past what was buffered (which must be empty).
    Coro<> write_out(std::string_view data);
    /// From here on at `position`; what was read ahead is forgotten.
    void move_to(std::int64_t position) noexcept;

    Coro<std::size_t> read_at(std::span<std::byte> memory, std::int64_t offset);
    Coro<std::size_t> write_at(std::string_view data, std::int64_t offset);

    Coro<> close();

  private:
    Coro<std::size_t> write_some(std::string_view data);
    Coro<int> transfer(os::FileCall what);
    Coro<int> transfer_when_ready(os::FileCall what);
    void blocking_flush() noexcept;
    void report_lost(int errno_value) const noexcept;

    Ref<loop::Core> loop_;
    os::Fd fd_;
    std::string name_;
    Lock lock_;
    std::string unread_;
    std::size_t unread_start_ = 0;
    std::string written_;
    std::int64_t position_ = 0;
    std::size_t buffer_size_;
    std::size_t longest_line_;
    bool readable_;
    bool writable_;
    bool append_;
    bool seekable_ = false;
    bool regular_ = false;
    bool nonblocking_ = false;
};

}  // namespace asyncio::file
