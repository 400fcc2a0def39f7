// SPDX-License-Identifier: MIT
//
// SocketTransport: a connected stream socket as a Transport; or one end of a pipe, a terminal or
// another character device, which is read or written only.
//
// Reading is one multishot receive operation, submitted while reading is wanted. Each completion
// hands its bytes to the protocol; nothing is kept here, so an idle connection owns no buffer. But
// what io_uring had received when reading was paused is held for a protocol of a user's, and told
// in a turn of its own once it reads again; our own streams take it, they have a buffer anyway.
//
// Writing (socket_writing.cpp). With nothing buffered, the first write of an iteration is tried at
// once, straight from the caller's memory: no copy, and the peer has it while we go on. What comes
// after it is gathered in `pending_` and goes out just before the next poll, as one send, however
// many writes there were. A connection that wrote several times in the last iteration it wrote in
// (a header, then a body) has its first write gathered, too: one send instead of two. Large writes
// (kInlineWrite) do not wait; they take what is gathered along. What is being sent is `sending_`,
// which does not change while the kernel looks at it; then the two change places.
//
//        close(), peer's end          buffers out            both operations idle
//   open ------------------> closing ------------> losing ----------------------> lost
//     '---- abort(), error ----------------------->
//
// `losing`: operations are asked to end, and the descriptor stays open until the kernel has given
// both back; then one turn through the ready queue calls connection_lost and closes. A transport
// keeps itself alive until then.
//
// Pipes. The end of a read pipe's stream closes it. A write pipe watches for the loss of its
// reader: with unsent data that is an error (EPIPE), else an end in order; its write_eof() is
// close(). A descriptor that blocked is made non-blocking while it is here.
//
// The protocol is called in a context that is a copy of the one the transport was opened in, so
// what starts tasks there gives them that; only what it is told from within write() comes in the
// writer's.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/kernel/operation.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/socket_address.hpp>
#include <asyncio/stream/buffer.hpp>
#include <asyncio/stream/transport.hpp>
#include <asyncio/task/wait_list.hpp>

#include <climits>
#include <exception>
#include <memory>

namespace asyncio::net {

/// Hears that a connection of its own is over, after its protocol did: the server.
class LossListener : public RefCounted {
  public:
    virtual void connection_lost() noexcept = 0;
    virtual void destroy() noexcept = 0;

  protected:
    ~LossListener() = default;
};

class SocketTransport;
class SocketRecords;

enum class Direction : std::uint8_t { both, read, write };

/// Takes the sending side of a transport for somebody who sends by other means (sendfile). From its
/// construction write() is refused and reading is paused; its end gives both back.
class DirectSend {
  public:
    /// std::logic_error if the transport is closing or taken already.
    explicit DirectSend(SocketTransport& transport);
    DirectSend(const DirectSend&) = delete;
    DirectSend& operator=(const DirectSend&) = delete;
    ~DirectSend();

    /// What was written before is out, or the connection is over.
    bool may_send() const noexcept;
    /// Have `changed` woken when the socket takes more.
    void ask_for_room();
    /// Woken when may_send() may have changed, and when there is room.
    task::WaitList changed;

  private:
    Ref<SocketTransport> transport_;
    const char* refusal_before_;
    bool was_reading_;
};

class SocketTransport final : public stream::Transport,
                              public IntrusiveListNode<SocketTransport>,
                              private loop::PollHook,
                              private loop::Member,
                              private Runnable {
  public:
    static constexpr std::size_t kHighWater = 65536;
    static constexpr std::size_t kLowWater = kHighWater / 4;
    /// From this size on a write is worth a system call of its own instead of a copy.
    static constexpr std::size_t kInlineWrite = 8192;
    /// Pieces that one system call of writelines() takes.
    static constexpr std::size_t kGathered = 64;
    /// Writes that come after the connection was closed are reported from the fifth on.
    static constexpr int kLostWritesToReport = 5;

    /// Connects `protocol` to the socket, calls connection_made, starts reading. Takes the
    /// descriptor. The result lives until connection_lost, and as long as there are references.
    static Ref<SocketTransport> open(EventLoop& loop, os::Fd fd, Ref<stream::Protocol> protocol);
    /// The same in two steps: start() calls connection_made, and is called once.
    static Ref<SocketTransport> create(EventLoop& loop, os::Fd fd, Ref<stream::Protocol> protocol);
    void start();
    /// One end of a pipe, a socket or a character device, of which one direction is used. Takes
    /// the descriptor, unless it throws: std::invalid_argument for something else.
    static Ref<SocketTransport> open_pipe(EventLoop& loop, int fd, Ref<stream::Protocol> protocol,
                                          Direction direction);

    /// Stands among `connections`, and `owner` lives, until the connection is lost.
    void belong_to(LossListener& owner, IntrusiveList<SocketTransport>& connections);

    using stream::Transport::write;
    void write(std::span<const std::byte> data) override;
    void writelines(std::span<const std::span<const std::byte>> lines) override;
    void write_eof() override;
    void close() override;
    void abort() override;
    void pause_reading() override;
    void resume_reading() override;
    bool is_reading() const noexcept override { return reading_; }
    std::size_t get_write_buffer_size() const noexcept override {
        return sending_.size() + pending_.size();
    }
    stream::WriteBufferLimits get_write_buffer_limits() const noexcept override {
        return {.low = low_, .high = high_};
    }
    void set_protocol(Ref<stream::Protocol> protocol) override;
    stream::Protocol* get_protocol() const noexcept override { return protocol_.get(); }
    EventLoop& loop() const noexcept override { return loop_; }
    const SocketAddress& peername() const override;
    const SocketAddress& sockname() const override;
    int fileno() const noexcept override { return receive_.fd; }
    stream::Transport* sending_transport() noexcept override { return this; }
    stream::KernelTls* kernel_tls() override;
    void destroy() noexcept override { delete this; }

  private:
    static Ref<SocketTransport> make(EventLoop& loop, int fd, Ref<stream::Protocol> protocol);
    friend class DirectSend;
    friend class SocketRecords;
    enum class Stage : std::uint8_t { open, closing, losing, lost };
    struct Addresses;

    SocketTransport(EventLoop& loop, int fd, Ref<stream::Protocol> protocol);
    ~SocketTransport();

    static void on_receive(kernel::Operation& operation, const kernel::Completion& completion);
    static void on_send(kernel::Operation& operation, const kernel::Completion& completion);
    static void take_turn(Runnable& runnable, Turn turn);

    void apply_write_buffer_limits(stream::WriteBufferLimits limits) override;
    bool refuses_writes() const noexcept { return is_closing() || refusal_ != nullptr; }
    void refuse_write();
    bool is_single_write() noexcept;
    void write_through(std::span<const std::byte> data);
    void write_large(std::span<const std::byte> data);
    std::size_t send_at_once(std::span<const std::span<const std::byte>> lines);
    std::ptrdiff_t system_send(std::span<const std::byte> data) noexcept;
    std::ptrdiff_t system_send(const iovec* parts, std::size_t count) noexcept;
    bool try_send(const iovec* parts, std::size_t count, std::size_t& taken);
    void close_descriptor() noexcept;
    void append(std::span<const std::byte> data);
    void watch_reader();
    void reader_gone();
    void receive();
    bool holds() const noexcept { return !held_.empty() || held_end_ != kNoEnd; }
    void deliver_held();
    void queue_turn() noexcept;
    void received(std::span<const std::byte> data);
    void receiver_failed();
    void receiving_ended(int result);
    void received_eof();
    void before_poll() noexcept override;
    void send_buffered();
    void make_part();
    bool sent(int result);
    void flushed();
    void resume_flow();
    void switch_flow();
    bool ask_for_room();
    void look_for_room();
    void writable_again();
    void lose(std::exception_ptr error);
    void lose_by(int errno_value, const char* what);
    void finish_if_idle();
    void call_connection_lost();
    void loop_closed() noexcept override;
    void report(const char* what) noexcept;
    const Addresses& addresses() const;

    using InServer = IntrusiveListNode<SocketTransport>;
    static constexpr int kNoEnd = INT_MIN;

    EventLoop& loop_;
    Ref<LossListener> owner_;
    Ref<stream::Protocol> protocol_;
    ContextSlot context_;  // what the protocol is called in: a copy of the opener's
    kernel::Operation receive_{kernel::Opcode::receive, &on_receive};
    kernel::Operation send_{kernel::Opcode::send, &on_send};
    stream::Buffer sending_;
    stream::Buffer pending_;
    stream::Buffer held_;          // received while reading was paused
    std::unique_ptr<iovec> part_;  // all of sending_, when it was submitted
    mutable std::unique_ptr<Addresses> addresses_;
    std::exception_ptr error_;                // what the connection is lost with
    const char* refusal_ = nullptr;           // why write() throws
    DirectSend* direct_ = nullptr;            // who has the sending side, if anybody
    std::unique_ptr<SocketRecords> records_;  // once asked for
    std::uint32_t high_ = kHighWater;
    std::uint32_t low_ = kLowWater;
    std::uint32_t write_iteration_ = 0;  // the last one with small writes
    int held_end_ = kNoEnd;              // what the receiving ended with behind it
    Stage stage_ = Stage::open;
    Direction direction_ = Direction::both;
    bool make_blocking_again_ = false;
    bool reading_ = false;  // the protocol wants data
    bool eof_wanted_ = false;
    bool eof_sent_ = false;
    bool eof_seen_ = false;
    bool writing_paused_ = false;
    bool turn_queued_ = false;
    std::uint8_t lost_writes_ = 0;
    bool foreign_protocol_ = false;  // its data_received() runs code of a user's; or it holds()
    bool wrote_again_ = false;       // more than once in write_iteration_
};

}  // namespace asyncio::net
