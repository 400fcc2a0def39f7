// SPDX-License-Identifier: MIT
#include <asyncio/net/sendfile.hpp>
#include <asyncio/net/sock.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/sendfile.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/task/wait_list.hpp>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

namespace asyncio {

namespace net {

namespace {

constexpr std::size_t kSocketBlock = 256 * 1024;
constexpr std::size_t kTransportBlock = 16 * 1024;

/// What is left of the file to send; its end puts the file's position behind what was sent.
class Progress {
  public:
    Progress(int file, const SendfileOptions& options) noexcept
        : file_(file), offset_(options.offset), left_(options.count.value_or(SIZE_MAX)) {}
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    ~Progress() { (void)os::seek(file_, static_cast<std::int64_t>(offset_ + sent_), SEEK_SET); }

    int file() const noexcept { return file_; }
    std::uint64_t offset() const noexcept { return offset_ + sent_; }
    std::size_t left() const noexcept { return left_; }
    std::size_t sent() const noexcept { return sent_; }
    void add(std::size_t count) noexcept {
        sent_ += count;
        left_ -= count;
    }
    /// The next block, read; empty at the end.
    std::string read(std::size_t most) const {
        std::string block(std::min(most, left_), '\0');
        const auto count = os::read_at(file_, offset(), std::as_writable_bytes(std::span(block)));
        if (count < 0) os::throw_system_error(static_cast<int>(-count), "sendfile: read");
        block.resize(static_cast<std::size_t>(count));
        return block;
    }

  private:
    int file_;
    std::uint64_t offset_;
    std::size_t left_;
    std::size_t sent_ = 0;
};

void check_arguments(int file, const SendfileOptions& options) {
    if (os::kind_of(file) == os::FileKind::none) {
        if (errno == EBADF) throw std::invalid_argument("sendfile: not an open file");
        os::throw_system_error(errno, "look at the file to send");
    }
    if (options.count && *options.count == 0)
        throw std::invalid_argument("count must be a positive integer (got 0)");
    if (options.offset > INT64_MAX) throw std::invalid_argument("offset is too large");
}

/// One step of the system's own way: bytes sent, 0 at the end, -EAGAIN, or another error.
std::ptrdiff_t step(int sock, Progress& progress) {
    if (progress.left() == 0) return 0;
    const auto sent = os::try_sendfile(sock, progress.file(), progress.offset(), progress.left());
    if (sent > 0) progress.add(static_cast<std::size_t>(sent));
    return sent;
}

/// True if the system cannot send this file at all, and that may be made up for.
bool falls_back(std::ptrdiff_t result, const Progress& progress, bool allowed) {
    const int error = static_cast<int>(-result);
    if (progress.sent() > 0 || !os::is_sendfile_unavailable(error)) return false;
    if (allowed) return true;
    throw SendfileNotAvailableError("os.sendfile call failed: " +
                                    std::generic_category().message(error));
}

Coro<std::size_t> sock_sendfile(int sock, int file, SendfileOptions options) {
    EventLoop& loop = get_running_loop();
    check_sock(loop, sock);
    check_arguments(file, options);
    if (!os::is_stream_socket(sock))
        throw std::invalid_argument("only SOCK_STREAM type sockets are supported");
    const NonBlocking non_blocking(sock);
    Progress progress(file, options);
    std::ptrdiff_t result = 1;
    while (result > 0 || result == -EAGAIN) {
        if (result == -EAGAIN) co_await wait_until_ready(sock, POLLOUT);
        result = step(sock, progress);
    }
    if (result == 0) co_return progress.sent();
    if (!falls_back(result, progress, options.fallback))
        os::throw_system_error(static_cast<int>(-result), "sock_sendfile");
    for (;;) {
        std::string block = progress.read(kSocketBlock);
        if (block.empty()) break;
        co_await loop.sock_sendall(sock, block);
        progress.add(block.size());
    }
    co_return progress.sent();
}

class FlowProtocol;

/// Whether a file that is written through `transport` may go on: there is room, or it is over. A
/// FlowProtocol hears that in the place of the transport's protocol, and reading is paused; the end
/// undoes both. Who replaces the protocol meanwhile finds the new one where he put it.
class Flow {
  public:
    /// std::logic_error if there is one already: the files would arrive in pieces of both.
    explicit Flow(stream::Transport& transport)
        : transport_(&transport), was_reading_(transport.is_reading()) {
        check_alone();
        stand_in();
        transport.pause_reading();
    }
    Flow(const Flow&) = delete;
    Flow& operator=(const Flow&) = delete;
    ~Flow();

    bool may_go_on() {
        if (lost_ || transport_->is_closing()) return true;
        if (stand_in_ == nullptr) stand_in();
        // The transport may have been paused before, unheard.
        if (is_above_high_water()) paused_ = true;
        return !paused_;
    }
    void throw_if_over() const {
        if (lost_ && error_) std::rethrow_exception(error_);
        if (lost_) os::throw_system_error(ECONNRESET, "sendfile: Connection closed by peer");
        if (transport_->is_closing())
            os::throw_system_error(ECONNABORTED, "sendfile: the transport was closed");
    }
    /// Woken when may_go_on() may have changed.
    task::WaitList changed;

  private:
    friend class FlowProtocol;

    void check_alone() const;
    void stand_in();
    bool is_above_high_water() const {
        return transport_->get_write_buffer_size() > transport_->get_write_buffer_limits().high;
    }

    Ref<stream::Transport> transport_;
    FlowProtocol* stand_in_ = nullptr;  // until it was replaced, or the connection lost
    std::exception_ptr error_;          // what the connection was lost with
    bool was_reading_;
    bool paused_ = false;
    bool lost_ = false;
};

/// Stands in for a transport's protocol. Whoever asked for that may keep this, and put it back.
class FlowProtocol final : public stream::Protocol {
  public:
    FlowProtocol(Ref<stream::Protocol> protocol, Flow& flow) noexcept
        : protocol_(std::move(protocol)), flow_(&flow) {}

    void connection_made(stream::Transport&) override {}
    void data_received(std::span<const std::byte> data) override { protocol_->data_received(data); }
    bool eof_received() override { return protocol_->eof_received(); }
    void connection_lost(std::exception_ptr error) override {
        if (flow_ != nullptr) {
            flow_->lost_ = true;
            flow_->error_ = error;
            flow_->changed.wake_all();
        }
        protocol_->connection_lost(error);
    }
    void pause_writing() override {
        if (flow_ != nullptr) flow_->paused_ = true;
        protocol_->pause_writing();
    }
    void resume_writing() override {
        if (flow_ != nullptr) {
            flow_->paused_ = false;
            flow_->changed.wake_all();
        }
        protocol_->resume_writing();
    }
    void transport_closing() noexcept override {
        if (flow_ != nullptr) flow_->changed.wake_all();
        protocol_->transport_closing();
    }
    void replaced() noexcept override {
        if (flow_ == nullptr) return;
        flow_->stand_in_ = nullptr;
        flow_->paused_ = false;  // who resumes it would not be heard
        flow_->changed.wake_all();
        flow_ = nullptr;
    }
    bool sends_file() const noexcept override { return flow_ != nullptr; }
    void close_connection(stream::Transport& transport) override {
        protocol_->close_connection(transport);
    }
    void destroy() noexcept override { delete this; }

    const Ref<stream::Protocol>& protocol() const noexcept { return protocol_; }
    void forget_flow() noexcept { flow_ = nullptr; }

  private:
    ~FlowProtocol() { replaced(); }  // by a transport that tells nobody, or the connection is lost

    Ref<stream::Protocol> protocol_;
    Flow* flow_;
};

void Flow::check_alone() const {
    const stream::Protocol* const there = transport_->get_protocol();
    if (there != nullptr && there->sends_file())
        throw std::logic_error("unable to send a file; sendfile is in progress");
}

void Flow::stand_in() {
    const Ref<FlowProtocol> made(
        new FlowProtocol(Ref<stream::Protocol>(transport_->get_protocol()), *this));
    transport_->set_protocol(made);
    stand_in_ = made.get();
}

Flow::~Flow() {
    if (stand_in_ != nullptr) {
        stand_in_->forget_flow();
        if (transport_->get_protocol() == stand_in_)
            transport_->set_protocol(stand_in_->protocol());
    }
    if (was_reading_ && !transport_->is_closing()) transport_->resume_reading();
}

Coro<> write_file(stream::Transport& transport, Progress& progress) {
    Flow flow(transport);
    for (;;) {
        while (!flow.may_go_on()) co_await task::NextWake(flow.changed);
        flow.throw_if_over();
        const std::string block = progress.read(kTransportBlock);
        if (block.empty()) co_return;
        transport.write(block);
        progress.add(block.size());
    }
}

/// The same where the system cannot: what the socket takes of a block that is read for it.
std::ptrdiff_t step_by_reading(int sock, Progress& progress) {
    const std::string block = progress.read(kTransportBlock);
    if (block.empty()) return 0;
    const iovec part = {const_cast<char*>(block.data()), block.size()};  // not written through
    const bool is_socket = os::kind_of(sock) == os::FileKind::socket;
    const std::ptrdiff_t sent =
        is_socket ? os::try_send(sock, &part, 1) : os::try_write(sock, &part, 1);
    if (sent > 0) progress.add(static_cast<std::size_t>(sent));
    return sent;
}

/// Through `socket`, which sends what `transport` is given.
Coro<> send_directly(const stream::Transport& transport, SocketTransport& socket,
                     Progress& progress, bool fallback) {
    DirectSend direct(socket);
    const auto is_over = [&] { return transport.is_closing() || socket.is_closing(); };
    while (!direct.may_send() && !is_over()) co_await task::NextWake(direct.changed);
    auto* send = &step;
    for (;;) {
        if (is_over()) os::throw_system_error(ECONNRESET, "sendfile: Connection closed by peer");
        const std::ptrdiff_t result = send(socket.fileno(), progress);
        if (result == 0) co_return;
        if (result > 0) continue;
        if (result != -EAGAIN) {
            if (send == &step_by_reading || !falls_back(result, progress, fallback))
                os::throw_system_error(static_cast<int>(-result), "sendfile");
            send = &step_by_reading;
            continue;
        }
        direct.ask_for_room();
        while (!direct.may_send() && !is_over()) co_await task::NextWake(direct.changed);
    }
}

Coro<std::size_t> sendfile(Ref<stream::Transport> transport, int file, SendfileOptions options) {
    check_arguments(file, options);
    if (transport->is_closing()) throw std::logic_error("Transport is closing");
    Progress progress(file, options);
    if (auto* const socket = dynamic_cast<SocketTransport*>(transport->sending_transport())) {
        co_await send_directly(*transport, *socket, progress, options.fallback);
        co_return progress.sent();
    }
    if (!options.fallback)
        throw std::logic_error(
            "fallback is disabled and native sendfile is not supported for this transport");
    co_await write_file(*transport, progress);
    co_return progress.sent();
}

}  // namespace
}  // namespace net

ASYNCIO_CORO_WRAPPER Coro<std::size_t> loop::NetVerbs::sock_sendfile(int sock, int file,
                                                                     SendfileOptions options) {
    return net::sock_sendfile(sock, file, options);
}

ASYNCIO_CORO_WRAPPER Coro<std::size_t> loop::NetVerbs::sock_sendfile(int sock, int file) {
    return net::sock_sendfile(sock, file, SendfileOptions());
}

ASYNCIO_CORO_WRAPPER Coro<std::size_t> loop::NetVerbs::sendfile(stream::Transport& transport,
                                                                int file, SendfileOptions options) {
    return net::sendfile(Ref<stream::Transport>(&transport), file, options);
}

ASYNCIO_CORO_WRAPPER Coro<std::size_t> loop::NetVerbs::sendfile(stream::Transport& transport,
                                                                int file) {
    return net::sendfile(Ref<stream::Transport>(&transport), file, SendfileOptions());
}

}  // namespace asyncio
