// SPDX-License-Identifier: MIT
#include <asyncio/file/call.hpp>
#include <asyncio/file/closing.hpp>
#include <asyncio/file/file.hpp>
#include <asyncio/file/fs.hpp>
#include <asyncio/file/on_thread.hpp>
#include <asyncio/file/small_file.hpp>
#include <asyncio/file/temporary.hpp>
#include <asyncio/file/whole_file.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/task/sleep.hpp>

#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace asyncio::fs {

namespace {

using os::FileCall;

/// Larger files are read in pieces, so that a cancelled task need not wait long.
constexpr std::size_t kMostAtOnce = 16u << 20;  // bytes
/// Larger files could hold up the loop for longer than asking for them takes.
constexpr std::size_t kMostHereAndNow = 16u << 10;  // bytes

// --- reading -----------------------------------------------------------------------------------

/// The bytes that a regular file says it has; 0 for what is none, and for those of /proc.
std::size_t size_of(int fd, const std::string& path) {
    struct stat status = {};
    file::check(os::file_status(fd, status), "stat", path);
    if (S_ISDIR(status.st_mode)) os::throw_system_error(EISDIR, "open " + path);
    return S_ISREG(status.st_mode) ? static_cast<std::size_t>(status.st_size) : 0;
}

/// As File sees it.
bool has_positions(int fd, const std::string& path) {
    struct stat status = {};
    file::check(os::file_status(fd, status), "stat", path);
    return S_ISREG(status.st_mode) || S_ISBLK(status.st_mode);
}

FileCall reading_of(int fd, std::string& data) noexcept {
    return FileCall{.kind = FileCall::Kind::read,
                    .fd = fd,
                    .memory = data.data(),
                    .size = data.size(),
                    .offset = 0};
}

/// What grows, has no size or is no regular file: to its end, piece by piece. `taken` was read from
/// it already.
Coro<std::string> read_to_the_end(os::Fd fd, std::string path, std::string taken) {
    File file = File::from_fd(fd.get(), path, {.buffering = 0});
    (void)fd.release();
    std::string data = co_await file.read();
    co_await file.close();
    if (!taken.empty()) data.insert(0, taken);
    co_return data;
}

/// All of a small file, if the system has it in memory: that costs less than asking anybody.
std::optional<std::string> read_if_cached(int fd) {
    char buffer[kMostHereAndNow];
    const int got = os::perform_if_cached({.kind = FileCall::Kind::read,
                                           .fd = fd,
                                           .memory = buffer,
                                           .size = sizeof buffer,
                                           .offset = 0});
    if (got <= 0 || got == static_cast<int>(sizeof buffer)) return std::nullopt;
    if (os::seek(fd, 0, SEEK_END) != got) return std::nullopt;  // not all is in memory, or it grows
    return std::string(buffer, static_cast<std::size_t>(got));
}

/// The same, and what was only read is closed without a call of its own: that waits for nothing.
std::optional<std::string> read_and_leave(os::Fd& fd) {
    auto data = read_if_cached(fd.get());
    if (data) get_running_loop().service<file::Closing>().take(std::move(fd));
    return data;
}

/// Whatever it is that was opened, with all the time it takes.
Coro<std::string> read_opened(os::Fd fd, std::string path, std::string taken) {
    const std::size_t size = size_of(fd.get(), path);
    if (size != 0 && size <= kMostAtOnce) {
        std::string data(size + 1, '\0');
        const int got = co_await file::Call(reading_of(fd.get(), data));
        file::check(got, "read", path);
        data.resize(size);
        if (static_cast<std::size_t>(got) == size) co_return data;  // and no byte more
    }
    std::string data = co_await read_to_the_end(std::move(fd), std::move(path), std::move(taken));
    co_return data;
}

/// By calls of our own.
Coro<std::string> read_by_calls(std::string path) {
    file::Closing& closing = get_running_loop().service<file::Closing>();
    const FileCall open{
        .kind = FileCall::Kind::open, .flags = O_RDONLY | O_NONBLOCK, .path = path.c_str()};
    int opened = os::perform_if_cached(open);
    // What waits to be closed may be all the descriptors that there are.
    if (opened < 0 && closing.close_now()) opened = os::perform_if_cached(open);
    if (opened < 0) opened = co_await file::Call(open);
    os::Fd fd(file::check(opened, "open", path));
    if (auto data = read_and_leave(fd)) {
        co_await sleep(Duration::zero());  // others have their turn, and it is closed
        co_return std::move(*data);
    }
    std::string data = co_await read_opened(std::move(fd), std::move(path), std::string());
    co_return data;
}

Coro<std::string> read_whole(std::string path) {
    if (!get_running_loop().service<file::SmallFileReaders>().join()) {
        std::string data = co_await read_by_calls(std::move(path));
        co_return data;
    }
    auto small = co_await file::SmallFile(path.c_str());
    get_running_loop().service<file::SmallFileReaders>().read(small.all);
    if (small.all) co_return std::move(small.data);
    if (small.error != 0) file::check(-small.error, "open", path);
    if (!small.fd) {
        std::string data = co_await read_by_calls(std::move(path));
        co_return data;
    }
    if (has_positions(small.fd.get(), path)) {  // read from its beginning
        file::check(static_cast<int>(os::seek(small.fd.get(), 0, SEEK_SET)), "seek", path);
        const bool is_larger = !std::exchange(small.data, std::string()).empty();
        if (!is_larger) {
            if (auto data = read_and_leave(small.fd)) {
                co_await sleep(Duration::zero());
                co_return std::move(*data);
            }
        }
    }
    std::string data =
        co_await read_opened(std::move(small.fd), std::move(path), std::move(small.data));
    co_return data;
}

// --- writing -----------------------------------------------------------------------------------

Coro<> write_whole(std::string path, std::string_view data) {
    File file = co_await open(path, "w", {.buffering = 0});
    co_await file.write(data);
    co_await file.close();
}

// --- replacing ---------------------------------------------------------------------------------

/// As `path`: its permissions if it is there.
unsigned permissions_for(const std::string& path, unsigned otherwise) noexcept {
    struct stat status = {};
    if (os::path_status(path.c_str(), status) != 0) return otherwise;
    return status.st_mode & 07777;
}

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Coro<> replace(std::string path, std::string_view data, WriteAtomicOptions options) {
    TemporaryName beside(path + ".");
    const unsigned permissions = permissions_for(path, 0);
    File file = co_await open(beside.name(), O_WRONLY | O_CREAT | O_EXCL,
                              {.permissions = options.permissions, .buffering = 0});
    if (permissions != 0) os::set_mode(file.fileno(), permissions);
    co_await file.write(data);
    if (options.sync) co_await file.fsync();
    co_await file.close();
    const FileCall rename{
        .kind = FileCall::Kind::rename, .path = beside.name().c_str(), .other = path.c_str()};
    const int renamed = co_await file::Call(rename, file::Cancellation::comes_later);
    file::check(renamed, "rename", beside.name() + " -> " + path);
    beside.keep();
    if (options.sync) co_await sync_directory(directory_of(path));
}

// --- copying -----------------------------------------------------------------------------------

constexpr std::size_t kCopyStep = 64u << 20;  // how often a cancelled copy is noticed
constexpr std::size_t kCopyBuffer = 1u << 20;

// <linux/magic.h> of older systems lacks some.
constexpr std::uint32_t kSmb2Magic = 0xfe534d42;
constexpr std::uint32_t kCifsMagic = 0xff534d42;
constexpr std::uint32_t kCephMagic = 0x00c36400;
constexpr std::uint32_t kFuseMagic = 0x65735546;

/// Shared by the task and the thread that copies for it.
struct Copy {
    std::string from;
    std::string to;
    os::Fd in;
    os::Fd out;
    std::uint64_t copied = 0;
    std::atomic<bool> unwanted{false};

    void run();
    bool can_be_handed_over() const noexcept;
    bool let_system_copy();
    void copy_by_hand();
};

/// True where the system hands the copy to somebody else (a server, another process). Everywhere
/// else it copies page by page, and more slowly than reading and writing large pieces.
bool Copy::can_be_handed_over() const noexcept {
    if (os::is_simulated(out.get())) return false;
    struct statfs system = {};
    if (::fstatfs(out.get(), &system) != 0) return false;
    switch (static_cast<std::uint32_t>(system.f_type)) {
        case NFS_SUPER_MAGIC:
        case kSmb2Magic:
        case kCifsMagic:
        case kCephMagic:
        case kFuseMagic:
            return true;
        default:
            return false;
    }
}

/// False when it cannot between these two, and nothing was copied yet.
bool Copy::let_system_copy() {
    while (!unwanted) {
        const ssize_t count =
            ::copy_file_range(in.get(), nullptr, out.get(), nullptr, kCopyStep, 0);
        if (count == 0) return copied != 0;  // files of /proc claim to be empty
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && copied == 0 && errno != ENOSPC && errno != EIO) return false;
        if (count < 0) os::throw_system_error(errno, "copy " + from + " -> " + to);
        copied += static_cast<std::uint64_t>(count);
    }
    return true;
}

void Copy::copy_by_hand() {
    std::vector<char> buffer(kCopyBuffer);
    while (!unwanted) {
        const int got = os::perform({.kind = FileCall::Kind::read,
                                     .fd = in.get(),
                                     .memory = buffer.data(),
                                     .size = buffer.size()});
        if (file::check(got, "read", from) == 0) return;
        for (int done = 0; done < got;) {
            done += file::check(os::perform({.kind = FileCall::Kind::write,
                                             .fd = out.get(),
                                             .memory = buffer.data() + done,
                                             .size = static_cast<std::size_t>(got - done)}),
                                "write", to);
        }
        copied += static_cast<std::uint64_t>(got);
    }
}

void Copy::run() {
    in = os::Fd(file::check(
        os::perform({.kind = FileCall::Kind::open, .flags = O_RDONLY, .path = from.c_str()}),
        "open", from));
    struct stat source = {};
    file::check(os::file_status(in.get(), source), "stat", from);
    if (S_ISDIR(source.st_mode)) os::throw_system_error(EISDIR, "copy " + from);
    out = os::Fd(file::check(os::perform({.kind = FileCall::Kind::open,
                                          .flags = O_WRONLY | O_CREAT,
                                          .mode = source.st_mode & 0777u,
                                          .path = to.c_str()}),
                             "open", to));
    struct stat target = {};
    file::check(os::file_status(out.get(), target), "stat", to);
    if (target.st_dev == source.st_dev && target.st_ino == source.st_ino)
        throw std::invalid_argument("copy: " + from + " and " + to + " are the same file");
    // Not an empty one: ext4 would then write everything to the disk before it lets us close.
    if (S_ISREG(target.st_mode) && target.st_size != 0)
        file::check(os::set_size(out.get(), 0), "truncate", to);
    if (os::share_blocks(in.get(), out.get()))
        copied = static_cast<std::uint64_t>(source.st_size);
    else if (!can_be_handed_over() || !let_system_copy())
        copy_by_hand();
    if (S_ISREG(target.st_mode))
        file::check(os::set_mode(out.get(), source.st_mode & 07777), "chmod", to);
    in.reset();
    out.reset();
}

Coro<std::uint64_t> copy_file(std::string from, std::string to) {
    const auto copy = std::make_shared<Copy>();
    copy->from = std::move(from);
    copy->to = std::move(to);
    struct NoLongerWanted {
        ~NoLongerWanted() { copy.unwanted = true; }
        Copy& copy;
    } no_longer_wanted{*copy};
    auto run = [copy] { copy->run(); };
    co_await file::on_thread(std::move(run));
    co_return copy->copied;
}

}  // namespace

ASYNCIO_CORO_WRAPPER Coro<std::string> read_file(std::string_view path) {
    return read_whole(file::checked_path(path));
}
ASYNCIO_CORO_WRAPPER Coro<> write_file(std::string_view path, std::string_view data) {
    return write_whole(file::checked_path(path), data);
}
ASYNCIO_CORO_WRAPPER Coro<> write_atomic(std::string_view path, std::string_view data,
                                         WriteAtomicOptions options) {
    return replace(file::checked_path(path), data, options);
}
ASYNCIO_CORO_WRAPPER Coro<std::uint64_t> copy(std::string_view from, std::string_view to) {
    return copy_file(file::checked_path(from), file::checked_path(to));
}

}  // namespace asyncio::fs
