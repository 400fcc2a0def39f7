// SPDX-License-Identifier: MIT
#include <asyncio/file/blocking_transport.hpp>
#include <asyncio/file/standard_streams.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/pipe.hpp>

#include <cerrno>
#include <string>

#include <unistd.h>

namespace asyncio {

namespace file {

namespace {

/// Connects `core` to what `fd` leads to.
void connect(int fd, bool for_writing, const Ref<stream::StreamCore>& core) {
    if (!os::is_open_for(fd, for_writing))
        os::throw_system_error(EBADF, (for_writing ? "write to descriptor " : "read descriptor ") +
                                          std::to_string(fd));
    EventLoop& loop = get_running_loop();
    const os::FileKind kind = os::kind_of(fd);
    if (kind == os::FileKind::pipe || kind == os::FileKind::terminal) {
        os::Fd own(os::reopen_nonblocking(fd, for_writing));
        if (own) {
            net::SocketTransport::open_pipe(
                loop, own.get(), core, for_writing ? net::Direction::write : net::Direction::read);
            (void)own.release();  // taken now
            return;
        }
    }
    using Direction = BlockingTransport::Direction;
    BlockingTransport::open(loop, fd, core, for_writing ? Direction::write : Direction::read);
}

}  // namespace

StandardInput open_input(int fd, std::size_t limit) {
    Ref<stream::StreamCore> core(new stream::StreamCore(limit));
    connect(fd, false, core);
    return StandardInput(std::move(core));
}

StreamWriter open_output(int fd) {
    Ref<stream::StreamCore> core(new stream::StreamCore(stream::StreamCore::kDefaultLimit));
    connect(fd, true, core);
    return StreamWriter(std::move(core));
}

}  // namespace file

StandardInput::StandardInput(Ref<stream::StreamCore> core) noexcept
    : StreamReader(core), core_(std::move(core)) {}

StandardInput& StandardInput::operator=(StandardInput&& other) noexcept {
    if (this == &other) return *this;
    close();
    StreamReader::operator=(std::move(other));
    core_ = std::move(other.core_);
    return *this;
}

StandardInput::~StandardInput() { close(); }

void StandardInput::close() noexcept {
    if (core_ && core_->transport() != nullptr) core_->transport()->abort();
}

StandardInput open_stdin(std::size_t limit) { return file::open_input(STDIN_FILENO, limit); }
StreamWriter open_stdout() { return file::open_output(STDOUT_FILENO); }
StreamWriter open_stderr() { return file::open_output(STDERR_FILENO); }

}  // namespace asyncio
