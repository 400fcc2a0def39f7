// SPDX-License-Identifier: MIT
//
// StreamReader: the incoming half of a connection.
//
//     std::string data = co_await reader.read(100);
//     auto lines = reader.lines();
//     while (auto line = co_await lines.next()) use(*line);
//
// A read returns without suspending when what it asks for is buffered. One task reads at a time:
// a second read while one waits throws std::logic_error and does not disturb the first.
// Cancelling a read loses nothing: what had arrived stays for the next one.
//
// Errors: the connection's error (std::system_error), for this and all later reads; otherwise see
// each read. Threads: the loop's.
#pragma once

#include <asyncio/stream/read_request.hpp>
#include <asyncio/stream/stream_core.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

namespace stream {

/// An awaitable read.
template <class Request>
class [[nodiscard]] Read : public coro::DriverAwaitable {
  public:
    Read(Ref<StreamCore> core, Request request) noexcept
        : core_(std::move(core)), request_(std::move(request)) {}

    ReadAwaiter<Request> operator co_await() && noexcept {
        return ReadAwaiter<Request>(std::move(core_), std::move(request_));
    }

  private:
    Ref<StreamCore> core_;
    Request request_;
};

[[noreturn]] void throw_too_much_consumed(std::size_t count, std::size_t buffered);

/// Async iteration over lines, newline included.
class Lines {
  public:
    explicit Lines(Ref<StreamCore> core) noexcept : core_(std::move(core)) {}
    /// The next line, or nullopt at the end of the stream. Errors as readline().
    Read<NextLine> next() const { return Read<NextLine>(core_, NextLine()); }

  private:
    Ref<StreamCore> core_;
};

}  // namespace stream

class StreamReader {
  public:
    /// A reader without a connection, to be fed by hand. std::invalid_argument if limit is 0.
    explicit StreamReader(std::size_t limit = stream::StreamCore::kDefaultLimit)
        : core_(new stream::StreamCore(limit)) {}
    explicit StreamReader(Ref<stream::StreamCore> core) noexcept : core_(std::move(core)) {}
    StreamReader(StreamReader&&) noexcept = default;
    StreamReader& operator=(StreamReader&&) noexcept = default;

    /// Everything until the end of the stream, whatever the limit.
    auto read() const { return stream::Read(core_, stream::ReadAll()); }
    /// Up to n bytes, as soon as there is one; empty at the end of the stream or for n = 0.
    auto read(std::size_t n) const { return stream::Read(core_, stream::ReadSome(n)); }
    /// As read(n), into `memory`, which must live until the read ends; the number of bytes.
    auto read_into(std::span<std::byte> memory) const {
        return stream::Read(core_, stream::ReadInto(memory));
    }
    /// What is buffered, without a copy, waiting for at least one byte; empty at the end of the
    /// stream. Valid until the next read, consume() or suspension of this task. Nothing is taken
    /// out until consume(): for parsers, and for passing on without allocating.
    auto peek() const { return stream::Read(core_, stream::Peek()); }
    /// Drop the first `count` bytes of what peek() showed. std::out_of_range if there are fewer.
    [[gnu::always_inline]] void consume(std::size_t count) const {
        stream::StreamCore& core = *core_;
        if (count > core.buffer().size()) [[unlikely]]
            stream::throw_too_much_consumed(count, core.buffer().size());
        core.buffer().consume(count);
        core.maybe_resume_transport();
    }
    /// Exactly n bytes, or IncompleteReadError with what there was.
    auto readexactly(std::size_t n) const { return stream::Read(core_, stream::ReadExactly(n)); }
    /// Through the newline; what is left at the end of the stream. A line longer than the limit:
    /// std::invalid_argument, the line is dropped.
    auto readline() const { return stream::Read(core_, stream::ReadLine()); }
    /// Through `separator`. IncompleteReadError at the end of the stream; LimitOverrunError if it
    /// does not come within the limit (the data stays). std::invalid_argument for an empty one.
    auto readuntil(std::string_view separator = "\n") const {
        return stream::Read(core_, stream::ReadUntil(separator));
    }
    /// Through that one of `separators` that ends first.
    auto readuntil(std::vector<std::string> separators) const {
        return stream::Read(core_, stream::ReadUntil(std::move(separators)));
    }
    stream::Lines lines() const { return stream::Lines(core_); }

    /// The stream has ended and everything was read.
    bool at_eof() const noexcept { return core_->eof() && core_->buffer().empty(); }
    /// What reads fail with, or null.
    std::exception_ptr exception() const noexcept { return core_->error(); }

    // The producer's side.
    void feed_data(std::span<const std::byte> data) const { core_->feed(data); }
    void feed_data(std::string_view data) const;
    void feed_eof() const { core_->feed_eof(); }
    void set_exception(std::exception_ptr error) const { core_->set_error(std::move(error)); }
    void set_transport(stream::Transport& transport) const { core_->connection_made(transport); }

  private:
    friend class StreamReaderProtocol;

    Ref<stream::StreamCore> core_;
};

}  // namespace asyncio
