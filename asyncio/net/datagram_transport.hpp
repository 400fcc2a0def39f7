// SPDX-License-Identifier: MIT
//
// DatagramTransport and DatagramProtocol: a datagram socket and who makes sense of its datagrams,
// as in asyncio.
//
//     connection_made -> (datagram_received | error_received)* -> connection_lost
//
// Receiving is one operation of the kernel that completes for each datagram; the system takes
// several at once (multishot on io_uring, recvmmsg on epoll). Nothing is kept here.
//
// Sending is tried at once. What the system has no room for is kept, in order, up to no limit: flow
// control pauses the protocol above the high-water mark (each datagram counts 8 bytes more than
// its data).
//
// Errors do not end an endpoint: a refusal by the peer's host (ICMP, connected endpoints only), or
// a datagram that cannot be sent, goes to error_received. Only a descriptor that is no socket, or
// that the kernel cannot watch for what comes, or an exception of the protocol, is fatal.
//
//        close()             all sent               both operations idle
//   open --------> closing ------------> losing ------------------------> lost
//     '---- abort(), fatal error -------->
//
// A transport keeps itself and its protocol until connection_lost. Threads: the loop's.
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/option.hpp>
#include <asyncio/base/owned.hpp>
#include <asyncio/base/shared.hpp>
#include <asyncio/kernel/operation.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/net/transport_socket.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/socket_address.hpp>
#include <asyncio/stream/transport.hpp>

#include <exception>
#include <span>
#include <string>
#include <string_view>

namespace asyncio {

class DatagramTransport;

class DatagramProtocol : public RefCounted {
  public:
    virtual ~DatagramProtocol();
    virtual void connection_made(DatagramTransport&) {}
    virtual void datagram_received(std::span<const std::byte> data, const SocketAddress& from) = 0;
    /// Sending or receiving failed; the endpoint goes on.
    virtual void error_received(std::exception_ptr) {}
    virtual void connection_lost(std::exception_ptr) {}
    virtual void pause_writing() {}
    virtual void resume_writing() {}

    void destroy() noexcept;
    void keep_by(Shared<void> owner) noexcept { owner_ = std::move(owner); }

  private:
    Shared<void> owner_;
};

class DatagramTransport final : public RefCounted, private loop::Member, private Runnable {
  public:
    static constexpr std::size_t kHighWater = 65536;
    static constexpr std::size_t kLowWater = kHighWater / 4;
    static constexpr std::size_t kHeaderBytes = 8;  // what a kept datagram counts beside its data

    /// Takes a datagram socket, calls connection_made, starts receiving. `remote`: where it goes
    /// if not said otherwise; none (family 0): it has to be said. `connected`: the system knows.
    static Ref<DatagramTransport> open(EventLoop& loop, os::Fd fd, Ref<DatagramProtocol> protocol,
                                       const SocketAddress& remote, bool connected);

    /// Send one datagram, or keep it until it can be sent. std::invalid_argument without an
    /// address, unless the endpoint has a remote one, and for another one than that. Ignored once
    /// closing; what fails goes to error_received.
    void sendto(std::span<const std::byte> data);
    void sendto(std::span<const std::byte> data, const SocketAddress& to);
    void sendto(std::string_view text);
    void sendto(std::string_view text, const SocketAddress& to);
    /// As sendto(), but a failure is the result: 0, or -errno. Nothing is reported.
    int send_or_error(std::span<const std::byte> data, const SocketAddress* to);

    /// Send what is kept, then connection_lost(null). Idempotent.
    void close();
    /// connection_lost(null) soon; what is kept is dropped.
    void abort();
    bool is_closing() const noexcept { return stage_ != Stage::open; }

    /// The system keeps what comes, as far as its buffer reaches; what it had handed over by then
    /// still comes. Both idempotent.
    void pause_reading();
    void resume_reading();
    bool is_reading() const noexcept { return reading_; }

    std::size_t get_write_buffer_size() const noexcept { return kept_bytes_; }
    stream::WriteBufferLimits get_write_buffer_limits() const noexcept { return limits_; }
    /// See stream::limits_from(). Takes effect at once.
    void set_write_buffer_limits(Option<std::size_t> high = {}, Option<std::size_t> low = {});

    /// Multicast: also get what is sent to `group` ("239.0.0.1", "ff02::1"), on that interface
    /// (its name; empty: the system's choice). std::system_error.
    void join_group(std::string_view group, std::string_view interface = {});
    void leave_group(std::string_view group, std::string_view interface = {});
    /// Of multicast datagrams sent: routers they may pass (1), whether this host gets them (yes).
    void set_multicast_ttl(int ttl);
    void set_multicast_loop(bool on);
    void set_multicast_interface(std::string_view interface);

    const SocketAddress& sockname() const noexcept { return local_; }
    const SocketAddress& peername() const noexcept { return remote_; }  // none: family 0
    TransportSocket socket() const noexcept { return TransportSocket(fd_); }
    int fileno() const noexcept { return fd_; }
    EventLoop& loop() const noexcept { return loop_; }
    DatagramProtocol* get_protocol() const noexcept { return protocol_.get(); }
    void destroy() noexcept { delete this; }

  private:
    enum class Stage : std::uint8_t { open, closing, losing, lost };
    struct Kept;
    struct Backlog;

    DatagramTransport(EventLoop& loop, int fd, Ref<DatagramProtocol> protocol,
                      const SocketAddress& remote, bool connected);
    ~DatagramTransport();

    static void on_receive(kernel::Operation& operation, const kernel::Completion& completion);
    static void on_writable(kernel::Operation& operation, const kernel::Completion& completion);
    static void take_turn(Runnable& runnable, Turn turn);

    const SocketAddress* destination(const SocketAddress* to) const;
    void receive();
    void received(const kernel::Completion& completion);
    void receive_failed(int errno_value);
    void deliver(const kernel::Completion& completion);
    void error(int errno_value, const char* what);
    void wait_for_room();
    void send_kept();
    void drop_first() noexcept;
    void update_flow();
    void lose(std::exception_ptr error);
    void finish_if_idle();
    void call_connection_lost();
    void close_descriptor() noexcept;
    void loop_closed() noexcept override;
    void report(const char* what) noexcept;

    EventLoop& loop_;
    Ref<DatagramProtocol> protocol_;
    ContextSlot context_;  // what the protocol is called in: a copy of the opener's
    kernel::Operation receive_{kernel::Opcode::receive_from, &on_receive};
    kernel::Operation writable_{kernel::Opcode::poll, &on_writable};
    Owned<Backlog> kept_;
    std::size_t kept_bytes_ = 0;
    stream::WriteBufferLimits limits_{.low = kLowWater, .high = kHighWater};
    std::exception_ptr error_;
    SocketAddress local_;
    SocketAddress remote_;
    int fd_;
    bool connected_;
    Stage stage_ = Stage::open;
    bool reading_ = false;
    bool writing_paused_ = false;
    bool turn_queued_ = false;
};

}  // namespace asyncio
