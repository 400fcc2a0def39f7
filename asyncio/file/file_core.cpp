// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/file/call.hpp>
#include <asyncio/file/file_core.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/file.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::file {

namespace {

using Kind = os::FileCall::Kind;

bool allows(int flags, int direction) noexcept {
    const int access = flags & O_ACCMODE;
    return access == O_RDWR || access == direction;
}

}  // namespace

FileCore::FileCore(os::Fd fd, std::string name, int flags, OpenOptions options)
    : loop_(&get_running_loop().core()),
      fd_(std::move(fd)),
      name_(std::move(name)),
      buffer_size_(options.buffering),
      longest_line_(options.longest_line),
      readable_(allows(flags, O_RDONLY)),
      writable_(allows(flags, O_WRONLY)),
      append_((flags & O_APPEND) != 0),
      nonblocking_((flags & O_NONBLOCK) != 0) {
    struct stat status = {};
    check(os::file_status(fd_.get(), status), "stat", name_);
    regular_ = S_ISREG(status.st_mode);
    if (!regular_ && !S_ISBLK(status.st_mode)) return;
    position_ = os::seek(fd_.get(), 0, append_ ? SEEK_END : SEEK_CUR);
    seekable_ = position_ >= 0;
    position_ = std::max<std::int64_t>(position_, 0);
}

FileCore::~FileCore() {
    if (closed()) return;
    blocking_flush();
    // A kernel that polled it has to forget it.
    if (!seekable_ && loop_->loop != nullptr) loop_->loop->kernel().close(fd_.release());
}

void FileCore::require_open() const {
    if (closed()) throw std::invalid_argument("I/O operation on closed file");
}

void FileCore::require_readable() const {
    require_open();
    if (!readable_) os::throw_system_error(EBADF, "read " + name_ + ": not open for reading");
}

void FileCore::require_writable() const {
    require_open();
    if (!writable_) os::throw_system_error(EBADF, "write " + name_ + ": not open for writing");
}

void FileCore::require_seekable(const char* call) const {
    require_open();
    if (!seekable_) os::throw_system_error(ESPIPE, std::string(call) + " " + name_);
}

// --- reading -----------------------------------------------------------------------------------

void FileCore::consume(std::size_t count) noexcept {
    unread_start_ += count;
    if (unread_start_ < unread_.size()) return;
    unread_.clear();
    unread_start_ = 0;
}

void FileCore::put_back(std::string_view data) {
    if (seekable_ && unread().empty()) {
        position_ -= static_cast<std::int64_t>(data.size());
        return;
    }
    unread_.replace(0, unread_start_, data);
    unread_start_ = 0;
}

Coro<std::size_t> FileCore::read_ahead() {
    unread_.erase(0, unread_start_);
    unread_start_ = 0;
    const std::size_t before = unread_.size();
    struct Fit {  // also when the read throws
        ~Fit() { unread.resize(size); }
        std::string& unread;
        std::size_t size;
    } fit{unread_, before};
    const std::size_t wanted = std::max<std::size_t>(buffer_size_, 1);
    unread_.resize(before + wanted);
    const os::FileCall read{.kind = Kind::read,
                            .fd = fd_.get(),
                            .memory = unread_.data() + before,
                            .size = wanted,
                            .offset = seekable_ ? position_ : -1};
    const std::size_t got = static_cast<std::size_t>(check(co_await transfer(read), "read", name_));
    position_ += static_cast<std::int64_t>(got);
    fit.size += got;
    co_return got;
}

Coro<std::size_t> FileCore::read_once(std::span<std::byte> memory) {
    const os::FileCall read{.kind = Kind::read,
                            .fd = fd_.get(),
                            .memory = memory.data(),
                            .size = memory.size(),
                            .offset = seekable_ ? position_ : -1};
    const int got = check(co_await transfer(read), "read", name_);
    position_ += got;
    co_return static_cast<std::size_t>(got);
}

/// A regular file gives less than was asked for only at its end; but those of /proc do, and say so
/// by having no size.
bool FileCore::is_end(std::size_t wanted, std::size_t got) const noexcept {
    if (got == 0) return true;
    if (!regular_ || got >= wanted) return false;
    struct stat status = {};
    return os::file_status(fd_.get(), status) == 0 && status.st_size == position_;
}

std::size_t FileCore::size_ahead() const noexcept {
    struct stat status = {};
    if (!regular_ || os::file_status(fd_.get(), status) != 0) return 0;
    if (status.st_size <= position_) return 0;
    return static_cast<std::size_t>(status.st_size - position_);
}

// --- writing -----------------------------------------------------------------------------------

void FileCore::turn_to_writing() noexcept {
    if (seekable_) move_to(position_ - static_cast<std::int64_t>(unread().size()));
}

void FileCore::move_to(std::int64_t position) noexcept {
    unread_.clear();
    unread_start_ = 0;
    position_ = position;
}

std::size_t FileCore::room_to_write() const noexcept {
    return buffer_size_ - std::min(buffer_size_, written_.size());
}

Coro<> FileCore::flush() {
    while (!written_.empty()) {
        const std::size_t count = co_await write_some(written_);
        written_.erase(0, count);
    }
}

Coro<> FileCore::write_out(std::string_view data) {
    while (!data.empty()) {
        const std::size_t count = co_await write_some(data);
        data.remove_prefix(count);
    }
}

Coro<std::size_t> FileCore::write_some(std::string_view data) {
    const bool placed = seekable_ && !append_;
    const os::FileCall write{.kind = Kind::write,
                             .fd = fd_.get(),
                             .memory = const_cast<char*>(data.data()),  // not written to
                             .size = data.size(),
                             .offset = placed ? position_ : -1};
    const int count = check(co_await transfer(write), "write", name_);
    if (count == 0) os::throw_system_error(EIO, "write " + name_ + ": nothing was taken");
    if (seekable_ && append_)
        position_ = os::seek(fd_.get(), 0, SEEK_CUR);
    else
        position_ += count;
    co_return static_cast<std::size_t>(count);
}

void FileCore::report_lost(int errno_value) const noexcept {
    try {
        log(LogLevel::error,
            "lost " + std::to_string(written_.size()) + " bytes written to " + name_ +
                ", which was not closed: " + std::generic_category().message(errno_value));
    } catch (const std::bad_alloc&) {  // no memory to say more
        log(LogLevel::error, "lost bytes written to a file that was not closed");
    }
}

/// The last chance of what was buffered: nobody can wait any more.
void FileCore::blocking_flush() noexcept {
    while (!written_.empty()) {
        const int count = os::perform({.kind = Kind::write,
                                       .fd = fd_.get(),
                                       .memory = written_.data(),
                                       .size = written_.size(),
                                       .offset = seekable_ && !append_ ? position_ : -1});
        if (count <= 0) return report_lost(-count);
        position_ += count;
        written_.erase(0, static_cast<std::size_t>(count));
    }
}

// --- both --------------------------------------------------------------------------------------

Coro<int> FileCore::transfer(os::FileCall what) {
    if (!seekable_) {
        const int result = co_await transfer_when_ready(what);
        co_return result;
    }
    Cancellation cancellation = Cancellation::ends_the_call;
    if (what.kind == Kind::write && append_) cancellation = Cancellation::comes_later;
    const int result = co_await Call(what, cancellation);
    co_return result;
}

Coro<int> FileCore::transfer_when_ready(os::FileCall what) {
    const unsigned events = what.kind == Kind::read ? POLLIN : POLLOUT;
    what.at_once = !nonblocking_;
    // As much as a pipe that polls as writable takes, where the system cannot be asked more.
    if (!nonblocking_) what.size = std::min<std::size_t>(what.size, PIPE_BUF);
    int result = -EAGAIN;
    while (result == -EAGAIN) {
        co_await ready_for(fd_.get(), events);
        result = os::perform(what);
    }
    co_return result;
}

Coro<std::size_t> FileCore::read_at(std::span<std::byte> memory, std::int64_t offset) {
    std::size_t done = 0;
    while (done < memory.size()) {
        const os::FileCall read{.kind = Kind::read,
                                .fd = fd_.get(),
                                .memory = memory.data() + done,
                                .size = memory.size() - done,
                                .offset = offset + static_cast<std::int64_t>(done)};
        const int got = check(co_await Call(read), "read", name_);
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    co_return done;
}

Coro<std::size_t> FileCore::write_at(std::string_view data, std::int64_t offset) {
    std::size_t done = 0;
    while (done < data.size()) {
        const os::FileCall write{.kind = Kind::write,
                                 .fd = fd_.get(),
                                 .memory = const_cast<char*>(data.data() + done),
                                 .size = data.size() - done,
                                 .offset = offset + static_cast<std::int64_t>(done)};
        const int count = check(co_await Call(write), "write", name_);
        if (count == 0) os::throw_system_error(EIO, "write " + name_ + ": nothing was taken");
        done += static_cast<std::size_t>(count);
    }
    co_return done;
}

Coro<> FileCore::close() {
    if (seekable_) {
        // The call owns it from here on, and closes it whatever happens to us.
        const os::FileCall close{.kind = Kind::close, .fd = fd_.release()};
        check(co_await Call(close, Cancellation::comes_later), "close", name_);
    } else {
        get_running_loop().kernel().close(fd_.release());
    }
}

}  // namespace asyncio::file
