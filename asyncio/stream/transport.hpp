// SPDX-License-Identifier: MIT
//
// Transport and Protocol: the two halves of a connection, as in asyncio.
//
// A transport moves bytes (a socket, a pipe, a TLS session); a protocol makes sense of them. The
// transport calls the protocol in this order:
//
//     connection_made -> data_received* -> [eof_received] -> connection_lost
//
// connection_lost comes exactly once, last, and always from the loop, never from within a call of
// the transport. pause_writing and resume_writing are strictly paired and called synchronously.
//
// Both are reference-counted; a transport keeps its protocol until connection_lost returned.
// Threads: the loop's.
#pragma once

#include <asyncio/base/ref.hpp>

#include <cstddef>
#include <exception>
#include <span>
#include <string>

namespace asyncio {
class EventLoop;
class SocketAddress;
}  // namespace asyncio

namespace asyncio::stream {

class Transport : public RefCounted {
  public:
    /// Send, or keep until it can be sent. Never suspends, never limits: see flow control.
    /// std::logic_error after write_eof(); ignored after the connection was lost.
    virtual void write(std::span<const std::byte> data) = 0;
    /// Close the sending direction once everything is out. Idempotent.
    virtual void write_eof() = 0;
    /// Stop reading, send what is buffered, then connection_lost(null). Idempotent.
    virtual void close() = 0;
    /// connection_lost(null) soon; what is buffered is dropped.
    virtual void abort() = 0;
    virtual bool is_closing() const noexcept = 0;

    virtual void pause_reading() = 0;   // idempotent
    virtual void resume_reading() = 0;  // idempotent

    virtual std::size_t write_buffer_size() const noexcept = 0;
    /// std::invalid_argument unless high >= low. Takes effect at once.
    virtual void set_write_buffer_limits(std::size_t high, std::size_t low) = 0;

    virtual EventLoop& loop() const noexcept = 0;
    virtual const SocketAddress& peername() const = 0;
    virtual const SocketAddress& sockname() const = 0;
    virtual int fileno() const noexcept = 0;

    virtual void destroy() noexcept = 0;

  protected:
    ~Transport() = default;
};

class Protocol : public RefCounted {
  public:
    virtual void connection_made(Transport& transport) = 0;
    virtual void data_received(std::span<const std::byte> data) = 0;
    /// The peer sends no more. False: the transport closes itself.
    virtual bool eof_received() = 0;
    /// `error`: why, or null after close(), abort() or the peer's end of stream.
    virtual void connection_lost(std::exception_ptr error) = 0;
    virtual void pause_writing() = 0;
    virtual void resume_writing() = 0;

    virtual void destroy() noexcept = 0;

  protected:
    ~Protocol() = default;
};

}  // namespace asyncio::stream
