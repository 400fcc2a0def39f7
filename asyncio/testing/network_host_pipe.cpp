// SPDX-License-Identifier: MIT
//
// What programs of one host share: pipes, inherited descriptors, handles of each other.
#include <asyncio/testing/network.hpp>
#include <asyncio/testing/simulated_socket.hpp>

#include <cerrno>
#include <memory>

#include <sys/socket.h>

namespace asyncio::testing {

int NetworkHost::make_pipe(int& read_end, int& write_end) noexcept {
    auto stream = std::make_shared<SimulatedStream>();
    stream->is_pipe = true;
    int fds[2];
    for (int side = 0; side < 2; ++side) {
        auto socket = std::make_shared<SimulatedSocket>(*this, AF_UNIX, SOCK_STREAM);
        socket->stage = SimulatedSocket::Stage::connected;
        socket->stream = stream;
        socket->side = side;
        stream->host[side] = this;
        stream->life[side] = life_;
        stream->end[side] = socket.get();
        fds[side] = enter(std::move(socket));
        if (fds[side] >= 0) continue;
        if (side == 1) close(fds[0]);
        return fds[side];
    }
    write_end = fds[0];
    read_end = fds[1];
    return 0;
}

int NetworkHost::duplicate(int fd) noexcept {
    if (find(fd) == nullptr) return -EBADF;
    return enter(sockets_[static_cast<std::size_t>(fd - os::kFirstSimulated)]);
}

int NetworkHost::open_nowhere() {
    return enter(std::make_shared<SimulatedSocket>(*this, AF_UNIX, SimulatedSocket::kNowhere));
}

int NetworkHost::open_exit(std::shared_ptr<SimulatedExit> exit) {
    auto handle = std::make_shared<SimulatedSocket>(*this, AF_UNIX, SimulatedSocket::kProgram);
    handle->exit = std::move(exit);
    return enter(std::move(handle));
}

SimulatedExit* NetworkHost::exit_of(int fd) const noexcept {
    const SimulatedSocket* const handle = find(fd);
    return handle == nullptr ? nullptr : handle->exit.get();
}

}  // namespace asyncio::testing
