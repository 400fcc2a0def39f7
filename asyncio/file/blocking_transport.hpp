// SPDX-License-Identifier: MIT
//
// BlockingTransport: one direction of a descriptor that must not be made non-blocking, because the
// open file behind it is shared with other programs: standard input and output.
//
//     idle ---wanted---> polling ---ready---> on a thread ---posted to the loop---> idle
//             '---------regular file----------^
//
// What can be polled is asked first, so the thread hardly ever blocks; but it may, if another
// program takes the input or fills the output in between, and then it blocks alone. A pipe that is
// writable takes PIPE_BUF bytes without blocking; regular files take all there is.
//
//        close(), end of input        buffer out          poll idle
//   open ------------------> closing ----------> losing ------------> lost
//     '---- abort(), error ------------------------^
//
// A call that a thread has begun is left alone when the transport is lost: it owns its memory and a
// descriptor of its own. What such a read brings is lost. When the loop closes, what was written
// goes out first, as far as that does not block.
//
// Threads: the loop's.
#pragma once

#include <asyncio/kernel/operation.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/stream/buffer.hpp>
#include <asyncio/stream/transport.hpp>

#include <exception>
#include <memory>

namespace asyncio::file {

class BlockingTransport final : public stream::Transport,
                                private loop::PollHook,
                                private loop::Member,
                                private Runnable {
  public:
    enum class Direction : std::uint8_t { read, write };

    static constexpr std::size_t kPiece = 65536;  // bytes of one call
    static constexpr std::size_t kHighWater = 65536;

    /// Connects `protocol` to a copy of `fd`, calls connection_made, starts reading. The result
    /// lives until connection_lost, and as long as there are references. std::system_error if `fd`
    /// is no descriptor.
    static Ref<BlockingTransport> open(EventLoop& loop, int fd, Ref<stream::Protocol> protocol,
                                       Direction direction);

    using stream::Transport::write;
    void write(std::span<const std::byte> data) override;
    void write_eof() override { close(); }
    void close() override;
    void abort() override;
    void pause_reading() override { reading_ = false; }
    void resume_reading() override;
    bool is_reading() const noexcept override { return reading_; }
    std::size_t get_write_buffer_size() const noexcept override;
    stream::WriteBufferLimits get_write_buffer_limits() const noexcept override { return limits_; }
    void set_protocol(Ref<stream::Protocol> protocol) override;
    stream::Protocol* get_protocol() const noexcept override { return protocol_.get(); }
    EventLoop& loop() const noexcept override { return loop_; }
    const SocketAddress& peername() const override;
    const SocketAddress& sockname() const override { return peername(); }
    int fileno() const noexcept override { return fd_; }
    void destroy() noexcept override { delete this; }

  private:
    enum class Stage : std::uint8_t { open, closing, losing, lost };
    struct Job;

    BlockingTransport(EventLoop& loop, os::Fd fd, Ref<stream::Protocol> protocol,
                      Direction direction);
    ~BlockingTransport();

    static void on_poll(kernel::Operation& operation, const kernel::Completion& completion);
    static void take_turn(Runnable& runnable, Turn turn);

    bool idle() const noexcept { return poll_.idle() && job_ == nullptr; }
    void go_on();
    void start_job();
    void done(Job& job);
    void received(std::span<const std::byte> data);
    void input_ended();
    void written(Job& job);
    void before_poll() noexcept override { go_on(); }
    void apply_write_buffer_limits(stream::WriteBufferLimits limits) override;
    void update_flow();
    void lose(std::exception_ptr error);
    void finish_if_idle();
    void call_connection_lost();
    void flush_at_the_end() noexcept;
    void loop_closed() noexcept override;
    void report(const char* what) noexcept;

    EventLoop& loop_;
    Ref<stream::Protocol> protocol_;
    kernel::Operation poll_{kernel::Opcode::poll, &on_poll};
    std::shared_ptr<const os::Fd> for_threads_;  // outlives `fd_` while one uses it
    std::shared_ptr<Job> job_;                   // on a thread, or on its way back
    stream::Buffer pending_;
    std::exception_ptr error_;
    stream::WriteBufferLimits limits_{.low = kHighWater / 4, .high = kHighWater};
    int fd_;
    Direction direction_;
    Stage stage_ = Stage::open;
    bool always_ready_;
    bool reading_ = false;  // the protocol wants data
    bool writing_paused_ = false;
    bool turn_queued_ = false;
};

}  // namespace asyncio::file
