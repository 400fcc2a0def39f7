// SPDX-License-Identifier: MIT
//
// StreamReaderProtocol: feeds a StreamReader from any transport, as asyncio's does. For what has no
// function of its own that gives streams, as our standard input:
//
//     asyncio::StreamReader keyboard;
//     auto [pipe, protocol] = co_await loop.connect_read_pipe(
//         [&] { return std::make_unique<asyncio::StreamReaderProtocol>(keyboard); }, STDIN_FILENO);
//     const std::string line = co_await keyboard.readline();
//     pipe->close();
//
// The reader's pauses reach the transport, so no more is taken than the reader's limits allow; the
// end and the error of the transport are the reader's. The protocol shares what the reader refers
// to, so either may go first; what comes after the reader has gone nobody reads, and the transport
// pauses.
#pragma once

#include <asyncio/stream/protocol.hpp>
#include <asyncio/stream/reader.hpp>

#include <exception>
#include <span>
#include <utility>

namespace asyncio {

class StreamReaderProtocol final : public Protocol {
  public:
    explicit StreamReaderProtocol(StreamReader& reader) noexcept : core_(reader.core_) {}

    void connection_made(Transport& transport) override { core_->connection_made(transport); }
    void data_received(std::span<const std::byte> data) override { core_->feed(data); }
    bool eof_received() override {
        core_->feed_eof();
        return false;  // close the transport
    }
    void connection_lost(std::exception_ptr error) override {
        if (error)
            core_->set_error(std::move(error));
        else
            core_->feed_eof();
    }

  private:
    Ref<stream::StreamCore> core_;
};

}  // namespace asyncio
