// SPDX-License-Identifier: MIT
//
// open(): what a path leads to becomes a File.
#include <asyncio/file/call.hpp>
#include <asyncio/file/file.hpp>
#include <asyncio/file/file_core.hpp>
#include <asyncio/file/open_mode.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/file.hpp>

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>

namespace asyncio {

namespace file {

namespace {

void require_no_directory(int fd, const std::string& path) {
    struct stat status = {};
    if (os::file_status(fd, status) == 0 && S_ISDIR(status.st_mode))
        os::throw_system_error(EISDIR, "open " + path);
}

/// Never blocks on what answers at once, and waits for the other end of a FIFO only when writing.
Coro<os::Fd> open_descriptor(const std::string& path, int flags, unsigned permissions) {
    os::FileCall what{.kind = os::FileCall::Kind::open,
                      .flags = flags | O_NONBLOCK,
                      .mode = permissions,
                      .path = path.c_str()};
    int result = co_await Call(what);
    if (result == -ENXIO && (flags & O_NONBLOCK) == 0) {
        what.flags = flags;
        what.waits = true;
        result = co_await Call(what);
        if (result >= 0) ::fcntl(result, F_SETFL, ::fcntl(result, F_GETFL) | O_NONBLOCK);
    }
    co_return os::Fd(check(result, "open", path));
}

Coro<File> open_file(std::string path, int flags, OpenOptions options) {
    os::Fd fd = co_await open_descriptor(path, flags, options.permissions);
    require_no_directory(fd.get(), path);
    co_return File(
        Ref<FileCore>(new FileCore(std::move(fd), std::move(path), flags | O_NONBLOCK, options)));
}

}  // namespace

}  // namespace file

ASYNCIO_CORO_WRAPPER Coro<File> open(std::string_view path, std::string_view mode,
                                     OpenOptions options) {
    return file::open_file(file::checked_path(path), file::open_flags(mode), options);
}

ASYNCIO_CORO_WRAPPER Coro<File> open(std::string_view path, int flags, OpenOptions options) {
    return file::open_file(file::checked_path(path), flags, options);
}

}  // namespace asyncio
