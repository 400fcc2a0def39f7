// SPDX-License-Identifier: MIT
#include <asyncio/os/file_call.hpp>
#include <asyncio/os/sendfile.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/os/without_sigpipe.hpp>

#include <algorithm>
#include <cerrno>

#include <sys/sendfile.h>
#include <sys/stat.h>

namespace asyncio::os {

namespace {

constexpr std::size_t most_at_once = 0x7ffff000;  // what the system takes in one call

/// Not more than the file has. Asked for more, Linux takes the last piece for one before another
/// (MSG_MORE), and 6.1 held it back for 0.2 s in a socket whose records it makes: 211 to 241 ms for
/// 1 kB or 20 kB, 6 to 12 ms so, in an emulator.
std::size_t within_file(int file, std::uint64_t offset, std::size_t count) noexcept {
    struct stat status = {};
    if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return count;
    const auto size = static_cast<std::uint64_t>(status.st_size);
    return size > offset ? std::min<std::uint64_t>(count, size - offset) : count;
}

}  // namespace

std::ptrdiff_t try_sendfile(int sock, int file, std::uint64_t offset, std::size_t count) noexcept {
    if (is_simulated(sock)) return -EINVAL;  // read and sent, as where the system cannot
    auto position = static_cast<off_t>(offset);
    WithoutSigpipe without_sigpipe;
    ssize_t result = 0;
    const std::size_t wanted = within_file(file, offset, std::min(count, most_at_once));
    do result = ::sendfile(sock, file, &position, wanted);
    while (result < 0 && errno == EINTR);
    without_sigpipe.raised =
        result < 0 ? errno == EPIPE : static_cast<std::size_t>(result) < wanted;
    return result < 0 ? -errno : result;
}

bool is_sendfile_unavailable(int errno_value) noexcept {
    return errno_value == EINVAL || errno_value == ENOSYS || errno_value == EOPNOTSUPP ||
           errno_value == ESPIPE;
}

std::ptrdiff_t read_at(int file, std::uint64_t offset, std::span<std::byte> memory) noexcept {
    return perform({.kind = FileCall::Kind::read,
                    .fd = file,
                    .memory = memory.data(),
                    .size = memory.size(),
                    .offset = static_cast<std::int64_t>(offset)});
}

}  // namespace asyncio::os
