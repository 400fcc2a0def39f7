// SPDX-License-Identifier: MIT
//
// The inotify instances of a host: descriptors over what its disk tells (simulated_inotify.hpp).
#include <asyncio/testing/network.hpp>
#include <asyncio/testing/simulated_inotify.hpp>
#include <asyncio/testing/simulated_socket.hpp>

#include <cerrno>
#include <memory>

#include <sys/socket.h>

namespace asyncio::testing {

/// Null, with -errno in `error`, for what is none.
SimulatedInotify* NetworkHost::find_inotify(int fd, int& error) const noexcept {
    const SimulatedSocket* const socket = find(fd);
    error = socket == nullptr ? -EBADF : -EINVAL;
    return socket == nullptr ? nullptr : socket->inotify.get();
}

int NetworkHost::open_inotify() noexcept {
    if (disk_.watchers() >= SimulatedInotify::kMostInstances) return -EMFILE;
    auto socket = std::make_shared<SimulatedSocket>(*this, AF_UNIX, SimulatedSocket::kInotify);
    socket->inotify = std::make_shared<SimulatedInotify>(disk_, [this](const auto& record) {
        network_.trace().add(number_, 'i', record.watch, record.what, record.pair,
                             record.name.size());
        note_change();
    });
    return enter(std::move(socket));
}

int NetworkHost::add_watch(int fd, const char* path, std::uint32_t what) noexcept {
    int error = 0;
    SimulatedInotify* const inotify = find_inotify(fd, error);
    return inotify == nullptr ? error : inotify->add(path, what);
}

int NetworkHost::remove_watch(int fd, int watch) noexcept {
    int error = 0;
    SimulatedInotify* const inotify = find_inotify(fd, error);
    return inotify == nullptr ? error : inotify->remove(watch);
}

std::ptrdiff_t NetworkHost::read_records(int fd, std::span<std::byte> buffer) noexcept {
    int error = 0;
    SimulatedInotify* const inotify = find_inotify(fd, error);
    return inotify == nullptr ? error : inotify->read(buffer);
}

std::size_t NetworkHost::unread_bytes(int fd) noexcept {
    int error = 0;
    const SimulatedInotify* const inotify = find_inotify(fd, error);
    return inotify == nullptr ? 0 : inotify->unread_bytes();
}

}  // namespace asyncio::testing
