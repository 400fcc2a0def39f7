// SPDX-License-Identifier: MIT
#include <asyncio/file/call.hpp>
#include <asyncio/file/fs.hpp>
#include <asyncio/file/on_thread.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file.hpp>

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace asyncio::fs {

namespace {

using file::Call;
using file::check;
using file::checked_path;
using os::FileCall;
using Kind = FileCall::Kind;

SystemTime time_of(const statx_timestamp& stamp) noexcept {
    return SystemTime(std::chrono::seconds(stamp.tv_sec) + std::chrono::nanoseconds(stamp.tv_nsec));
}

FileStatus status_of(const struct statx& x) noexcept {
    return FileStatus{.size = x.stx_size,
                      .inode = x.stx_ino,
                      .device = makedev(x.stx_dev_major, x.stx_dev_minor),
                      .links = x.stx_nlink,
                      .blocks = x.stx_blocks,
                      .mode = x.stx_mode,
                      .user = x.stx_uid,
                      .group = x.stx_gid,
                      .accessed = time_of(x.stx_atime),
                      .modified = time_of(x.stx_mtime),
                      .changed = time_of(x.stx_ctime),
                      .created = time_of(x.stx_btime)};
}

bool is_nowhere(int result) noexcept {
    return result == -ENOENT || result == -ENOTDIR || result == -ELOOP;
}

/// Zero or -errno.
Coro<int> look(const std::string& path, int flags, FileStatus& status) {
    struct statx attributes = {};
    const FileCall call{
        .kind = Kind::stat, .flags = flags, .path = path.c_str(), .attributes = &attributes};
    const int result = co_await Call(call);
    if (result == 0) status = status_of(attributes);
    co_return result;
}

Coro<FileStatus> status_at(std::string path, int flags) {
    FileStatus status;
    const int result = co_await look(path, flags, status);
    check(result, "stat", path);
    co_return status;
}

/// False if there is nothing at `path`.
Coro<bool> satisfies(std::string path, int flags, bool (FileStatus::*is)() const noexcept) {
    FileStatus status;
    const int result = co_await look(path, flags, status);
    if (is_nowhere(result)) co_return false;
    check(result, "stat", path);
    co_return is == nullptr || (status.*is)();
}

Coro<std::uint64_t> size_at(std::string path) {
    const FileStatus status = co_await status_at(std::move(path), 0);
    co_return status.size;
}

/// A call with one path.
Coro<> change(Kind kind, std::string path, int flags, unsigned mode, const char* name) {
    const FileCall call{.kind = kind, .flags = flags, .mode = mode, .path = path.c_str()};
    const int result = co_await Call(call);
    check(result, name, path);
}

/// A call with two.
Coro<> change_both(Kind kind, std::string from, std::string to) {
    const FileCall call{.kind = kind, .path = from.c_str(), .other = to.c_str()};
    const int result = co_await Call(call);
    check(result, call.name(), from + " -> " + to);
}

/// Zero or -errno.
Coro<int> make(std::string_view path, unsigned permissions) {
    const std::string name(path);
    const FileCall call{.kind = Kind::mkdir, .mode = permissions, .path = name.c_str()};
    const int result = co_await Call(call);
    co_return result;
}

/// Where the parent's name ends: npos when there is none above.
std::size_t parent_end(std::string_view path) noexcept {
    const std::size_t last = path.find_last_not_of('/');
    if (last == std::string_view::npos) return last;
    const std::size_t slash = path.find_last_of('/', last);
    if (slash == std::string_view::npos) return slash;
    const std::size_t end = path.find_last_not_of('/', slash);
    return end == std::string_view::npos ? end : end + 1;
}

/// From the innermost outwards until something can be made, and back.
Coro<> make_all(std::string path, MakedirsOptions options) {
    std::vector<std::size_t> missing{path.size()};
    while (!missing.empty()) {
        const std::string_view here = std::string_view(path).substr(0, missing.back());
        const unsigned permissions = missing.size() == 1 ? options.permissions : 0777u;
        const int result = co_await make(here, permissions);
        const std::size_t above = parent_end(here);
        if (result == -ENOENT && above != std::string_view::npos && above != 0) {
            missing.push_back(above);
            continue;
        }
        const bool innermost = missing.size() == 1;
        if (result == -EEXIST && (!innermost || options.exist_ok)) {
            const bool directory = co_await satisfies(std::string(here), 0, &FileStatus::is_dir);
            if (!directory) check(-ENOTDIR, "mkdir", here);
        } else {
            check(result, "mkdir", here);
        }
        missing.pop_back();
    }
}

Coro<> sync_names(std::string path) {
    const FileCall open{.kind = Kind::open, .flags = O_RDONLY | O_DIRECTORY, .path = path.c_str()};
    const int opened = co_await Call(open);
    const os::Fd fd(check(opened, "open", path));
    const FileCall sync{.kind = Kind::sync, .fd = fd.get()};
    const int result = co_await Call(sync);
    // Some file systems cannot, and lose nothing by it.
    if (result != -EINVAL) check(result, "sync", path);
}

std::string read_link(const std::string& path) {
    std::string target;
    check(os::read_link(path.c_str(), target), "readlink", path);
    return target;
}

std::string real_path(const std::string& path) {
    std::string real;
    check(os::real_path(path.c_str(), real), "realpath", path);
    return real;
}

void change_mode(const std::string& path, unsigned permissions) {
    check(os::set_mode(path.c_str(), permissions), "chmod", path);
}

}  // namespace

bool FileStatus::is_file() const noexcept { return S_ISREG(mode); }
bool FileStatus::is_dir() const noexcept { return S_ISDIR(mode); }
bool FileStatus::is_symlink() const noexcept { return S_ISLNK(mode); }

ASYNCIO_CORO_WRAPPER Coro<FileStatus> stat(std::string_view path) {
    return status_at(checked_path(path), 0);
}
ASYNCIO_CORO_WRAPPER Coro<FileStatus> lstat(std::string_view path) {
    return status_at(checked_path(path), AT_SYMLINK_NOFOLLOW);
}
ASYNCIO_CORO_WRAPPER Coro<bool> exists(std::string_view path) {
    return satisfies(checked_path(path), 0, nullptr);
}
ASYNCIO_CORO_WRAPPER Coro<bool> is_file(std::string_view path) {
    return satisfies(checked_path(path), 0, &FileStatus::is_file);
}
ASYNCIO_CORO_WRAPPER Coro<bool> is_dir(std::string_view path) {
    return satisfies(checked_path(path), 0, &FileStatus::is_dir);
}
ASYNCIO_CORO_WRAPPER Coro<bool> is_symlink(std::string_view path) {
    return satisfies(checked_path(path), AT_SYMLINK_NOFOLLOW, &FileStatus::is_symlink);
}
ASYNCIO_CORO_WRAPPER Coro<std::uint64_t> getsize(std::string_view path) {
    return size_at(checked_path(path));
}

ASYNCIO_CORO_WRAPPER Coro<> rename(std::string_view from, std::string_view to) {
    return change_both(Kind::rename, checked_path(from), checked_path(to));
}
ASYNCIO_CORO_WRAPPER Coro<> remove(std::string_view path) {
    return change(Kind::unlink, checked_path(path), 0, 0, "remove");
}
ASYNCIO_CORO_WRAPPER Coro<> rmdir(std::string_view path) {
    return change(Kind::unlink, checked_path(path), AT_REMOVEDIR, 0, "rmdir");
}
ASYNCIO_CORO_WRAPPER Coro<> mkdir(std::string_view path, unsigned permissions) {
    return change(Kind::mkdir, checked_path(path), 0, permissions, "mkdir");
}
ASYNCIO_CORO_WRAPPER Coro<> makedirs(std::string_view path, MakedirsOptions options) {
    return make_all(checked_path(path), options);
}
ASYNCIO_CORO_WRAPPER Coro<> sync_directory(std::string_view path) {
    return sync_names(checked_path(path));
}
ASYNCIO_CORO_WRAPPER Coro<> symlink(std::string_view target, std::string_view link) {
    return change_both(Kind::symlink, checked_path(target), checked_path(link));
}
ASYNCIO_CORO_WRAPPER Coro<> link(std::string_view existing, std::string_view link) {
    return change_both(Kind::link, checked_path(existing), checked_path(link));
}
ASYNCIO_CORO_WRAPPER Coro<std::string> readlink(std::string_view path) {
    return file::on_thread([path = checked_path(path)] { return read_link(path); });
}
ASYNCIO_CORO_WRAPPER Coro<std::string> realpath(std::string_view path) {
    return file::on_thread([path = checked_path(path)] { return real_path(path); });
}
ASYNCIO_CORO_WRAPPER Coro<> chmod(std::string_view path, unsigned permissions) {
    return file::on_thread(
        [path = checked_path(path), permissions] { change_mode(path, permissions); });
}

}  // namespace asyncio::fs
