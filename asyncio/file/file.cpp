// SPDX-License-Identifier: MIT
#include <asyncio/file/call.hpp>
#include <asyncio/file/file.hpp>
#include <asyncio/file/file_core.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/task/as_outcome.hpp>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio {

namespace file {

namespace {

using Core = Ref<FileCore>;

constexpr std::size_t kSmallestRead = 4096;

std::span<std::byte> bytes_of(std::string& text, std::size_t from, std::size_t size) noexcept {
    return std::as_writable_bytes(std::span(text.data() + from, size));
}

/// Bytes on their way from the file to the reader; back into the file if they do not arrive.
class Taken {
  public:
    Taken(FileCore& core, std::span<std::byte> memory) noexcept : core_(core), memory_(memory) {}
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    ~Taken() {
        if (count_ != 0) core_.put_back({reinterpret_cast<const char*>(memory_.data()), count_});
    }

    void move_to(std::span<std::byte> memory) noexcept { memory_ = memory; }
    std::span<std::byte> room() const noexcept { return memory_.subspan(count_); }
    bool full() const noexcept { return count_ == memory_.size(); }
    std::size_t count() const noexcept { return count_; }
    void add(std::size_t count) noexcept { count_ += count; }
    void take_unread() noexcept {
        const std::string_view unread = core_.unread().substr(0, room().size());
        std::ranges::copy(std::as_bytes(std::span(unread)), room().begin());
        core_.consume(unread.size());
        count_ += unread.size();
    }
    std::size_t arrived() noexcept { return std::exchange(count_, 0); }

  private:
    FileCore& core_;
    std::span<std::byte> memory_;
    std::size_t count_ = 0;
};

Coro<> begin_reading(FileCore& core) {
    core.require_readable();
    co_await core.flush();
}

/// Fill `taken` as far as the file goes.
Coro<> fill(FileCore& core, Taken& taken) {
    taken.take_unread();
    while (!taken.full()) {
        const std::span<std::byte> room = taken.room();
        std::size_t wanted = room.size();
        std::size_t got = 0;
        if (wanted >= core.buffer_size()) {
            got = co_await core.read_once(room);
            taken.add(got);
        } else {
            wanted = core.buffer_size();
            got = co_await core.read_ahead();
            taken.take_unread();
        }
        if (core.is_end(wanted, got)) break;
    }
}

Coro<std::size_t> read_into(Core core, std::span<std::byte> memory) {
    const auto held = co_await core->lock().scoped();
    co_await begin_reading(*core);
    Taken taken(*core, memory);
    co_await fill(*core, taken);
    co_return taken.arrived();
}

Coro<std::string> read_some(Core core, std::size_t size) {
    const auto held = co_await core->lock().scoped();
    co_await begin_reading(*core);
    // Not more memory than the file is likely to fill.
    std::string data;
    Taken taken(*core, {});
    std::size_t step = std::max(core->size_ahead() + core->unread().size(), kSmallestRead);
    for (;;) {
        const std::size_t before = data.size();
        data.resize(before + std::min(step, size - before));
        taken.move_to(bytes_of(data, 0, data.size()));
        co_await fill(*core, taken);
        if (!taken.full() || data.size() == size) break;
        step = data.size();
    }
    data.resize(taken.arrived());
    co_return data;
}

Coro<std::string> read_all(Core core) {
    const auto held = co_await core->lock().scoped();
    co_await begin_reading(*core);
    std::string data(core->unread().size(), '\0');
    Taken taken(*core, bytes_of(data, 0, data.size()));
    taken.take_unread();
    for (;;) {
        // One byte more than expected: a shorter answer tells the end.
        const std::size_t wanted =
            std::max(core->size_ahead() + 1, std::max(kSmallestRead, data.size()));
        data.resize(taken.count() + wanted);
        taken.move_to(bytes_of(data, 0, data.size()));
        const std::size_t got = co_await core->read_once(taken.room());
        taken.add(got);
        if (core->is_end(wanted, got)) break;
    }
    data.resize(taken.arrived());
    co_return data;
}

Coro<std::string> read_line(Core core) {
    const auto held = co_await core->lock().scoped();
    co_await begin_reading(*core);
    std::size_t searched = 0;
    std::size_t end = std::string_view::npos;
    for (;;) {
        const std::string_view unread = core->unread();
        end = unread.find('\n', searched);
        if (end != std::string_view::npos) break;
        searched = unread.size();
        if (searched > core->longest_line())
            throw std::invalid_argument("a line of " + core->name() + " is longer than " +
                                        std::to_string(core->longest_line()) + " bytes");
        const std::size_t got = co_await core->read_ahead();
        if (got == 0) break;
    }
    const std::string_view unread = core->unread();
    std::string line(unread.substr(0, end == std::string_view::npos ? end : end + 1));
    core->consume(line.size());
    co_return line;
}

Coro<std::optional<std::string>> next_line(Core core) {
    std::string line = co_await read_line(std::move(core));
    std::optional<std::string> result;
    if (!line.empty()) result = std::move(line);
    co_return result;
}

Coro<std::size_t> write(Core core, std::string_view data) {
    const auto held = co_await core->lock().scoped();
    core->require_writable();
    core->turn_to_writing();
    if (data.size() > core->room_to_write()) co_await core->flush();
    if (data.size() <= core->room_to_write())
        core->buffer_write(data);
    else
        co_await core->write_out(data);
    co_return data.size();
}

Coro<std::size_t> write_kept(Core core, std::string data) {
    const std::size_t size = co_await write(std::move(core), data);
    co_return size;
}

Coro<std::size_t> read_at(Core core, std::span<std::byte> memory, std::int64_t offset) {
    {
        const auto held = co_await core->lock().scoped();
        core->require_readable();
        core->require_seekable("pread");
        co_await core->flush();
    }
    const std::size_t count = co_await core->read_at(memory, offset);
    co_return count;
}

Coro<std::string> read_text_at(Core core, std::size_t size, std::int64_t offset) {
    std::string data(size, '\0');
    const std::size_t count = co_await read_at(std::move(core), bytes_of(data, 0, size), offset);
    data.resize(count);
    co_return data;
}

Coro<std::size_t> write_at(Core core, std::string_view data, std::int64_t offset) {
    {
        const auto held = co_await core->lock().scoped();
        core->require_writable();
        core->require_seekable("pwrite");
        co_await core->flush();
        core->turn_to_writing();  // what was read ahead may be what is overwritten
    }
    const std::size_t count = co_await core->write_at(data, offset);
    co_return count;
}

std::int64_t size_of(const FileCore& core) {
    struct stat status = {};
    check(os::file_status(core.fd(), status), "stat", core.name());
    return S_ISREG(status.st_mode) ? status.st_size : os::seek(core.fd(), 0, SEEK_END);
}

Coro<std::int64_t> seek(Core core, std::int64_t offset, Whence whence) {
    const auto held = co_await core->lock().scoped();
    core->require_seekable("seek");
    co_await core->flush();
    std::int64_t base = 0;
    if (whence == Whence::current) base = core->position();
    if (whence == Whence::end) base = size_of(*core);
    if (__builtin_add_overflow(base, offset, &base) || base < 0)
        os::throw_system_error(EINVAL, "seek " + core->name());
    core->move_to(base);
    co_return base;
}

Coro<std::int64_t> tell(Core core) {
    const auto held = co_await core->lock().scoped();
    core->require_seekable("tell");
    co_return core->position();
}

Coro<std::int64_t> truncate(Core core, Option<std::int64_t> size) {
    const auto held = co_await core->lock().scoped();
    core->require_writable();
    co_await core->flush();
    core->turn_to_writing();
    const std::int64_t wanted = size ? *size : core->position();
    const os::FileCall what{
        .kind = os::FileCall::Kind::truncate, .fd = core->fd(), .offset = wanted};
    const int result = co_await Call(what);
    check(result, "truncate", core->name());
    co_return wanted;
}

Coro<> flush(Core core) {
    const auto held = co_await core->lock().scoped();
    core->require_open();
    co_await core->flush();
}

Coro<> sync(Core core, bool data_only) {
    const auto held = co_await core->lock().scoped();
    core->require_open();
    co_await core->flush();
    const os::FileCall what{.kind = os::FileCall::Kind::sync,
                            .fd = core->fd(),
                            .flags = data_only ? os::FileCall::kDataOnly : 0};
    const int result = co_await Call(what);
    check(result, "sync", core->name());
}

Coro<> close(Core core) {
    const auto held = co_await core->lock().scoped();
    if (core->closed()) co_return;
    Outcome<void> flushed = co_await as_outcome(core->flush());
    if (flushed.cancelled()) flushed.value();  // still open, nothing lost
    co_await core->close();
    flushed.value();
}

}  // namespace

Lines::Lines(Ref<FileCore> core) noexcept : core_(std::move(core)) {}
Lines::Lines(Lines&&) noexcept = default;
Lines& Lines::operator=(Lines&&) noexcept = default;
Lines::~Lines() = default;

ASYNCIO_CORO_WRAPPER Coro<std::optional<std::string>> Lines::next() { return next_line(core_); }

}  // namespace file

File::File() noexcept = default;
File::File(Ref<file::FileCore> core) noexcept : core_(std::move(core)) {}
File::File(File&& other) noexcept = default;
File& File::operator=(File&& other) noexcept = default;
File::~File() = default;

File File::from_fd(int fd, std::string_view name, OpenOptions options) {
    const int flags = file::check(os::open_flags(fd), "take over", name);
    os::Fd owned(fd);
    return File(Ref<file::FileCore>(
        new file::FileCore(std::move(owned), std::string(name), flags, options)));
}

const Ref<file::FileCore>& File::core() const {
    if (!core_) throw std::invalid_argument("I/O operation on closed file");
    return core_;
}

ASYNCIO_CORO_WRAPPER Coro<std::string> File::read() const { return file::read_all(core()); }
ASYNCIO_CORO_WRAPPER Coro<std::string> File::read(std::size_t size) const {
    return file::read_some(core(), size);
}
ASYNCIO_CORO_WRAPPER Coro<std::size_t> File::read_into(std::span<std::byte> memory) const {
    return file::read_into(core(), memory);
}
ASYNCIO_CORO_WRAPPER Coro<std::string> File::readline() const { return file::read_line(core()); }
file::Lines File::lines() const { return file::Lines(core()); }

ASYNCIO_CORO_WRAPPER Coro<std::size_t> File::write(std::string_view data) const {
    return file::write(core(), data);
}
ASYNCIO_CORO_WRAPPER Coro<std::size_t> File::write(std::span<const std::byte> data) const {
    return file::write(core(), {reinterpret_cast<const char*>(data.data()), data.size()});
}
ASYNCIO_CORO_WRAPPER Coro<std::size_t> File::write_owned(std::string data) const {
    return file::write_kept(core(), std::move(data));
}

ASYNCIO_CORO_WRAPPER Coro<std::string> File::pread(std::size_t size, std::int64_t offset) const {
    return file::read_text_at(core(), size, offset);
}
ASYNCIO_CORO_WRAPPER Coro<std::size_t> File::pread_into(std::span<std::byte> memory,
                                                        std::int64_t offset) const {
    return file::read_at(core(), memory, offset);
}
ASYNCIO_CORO_WRAPPER Coro<std::size_t> File::pwrite(std::string_view data,
                                                    std::int64_t offset) const {
    return file::write_at(core(), data, offset);
}

ASYNCIO_CORO_WRAPPER Coro<std::int64_t> File::seek(std::int64_t offset, Whence whence) const {
    return file::seek(core(), offset, whence);
}
ASYNCIO_CORO_WRAPPER Coro<std::int64_t> File::tell() const { return file::tell(core()); }
ASYNCIO_CORO_WRAPPER Coro<std::int64_t> File::truncate(Option<std::int64_t> size) const {
    return file::truncate(core(), size);
}
ASYNCIO_CORO_WRAPPER Coro<> File::flush() const { return file::flush(core()); }
ASYNCIO_CORO_WRAPPER Coro<> File::fsync(bool data_only) const {
    return file::sync(core(), data_only);
}
ASYNCIO_CORO_WRAPPER Coro<> File::close() const { return file::close(core()); }

bool File::closed() const noexcept { return !core_ || core_->closed(); }

int File::fileno() const {
    core()->require_open();
    return core_->fd();
}
const std::string& File::name() const { return core()->name(); }
bool File::readable() const { return core()->readable(); }
bool File::writable() const { return core()->writable(); }
bool File::seekable() const { return core()->seekable(); }

Coro<> File::aenter() const {
    core()->require_open();
    co_return;
}

Coro<bool> File::aexit(std::exception_ptr) const {
    co_await close();
    co_return false;
}

}  // namespace asyncio
