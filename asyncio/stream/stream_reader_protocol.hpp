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
// end and the error of the transport are the reader's. The reader outlives the transport.
#pragma once

#include <asyncio/stream/protocol.hpp>
#include <asyncio/stream/reader.hpp>

#include <exception>
#include <span>
#include <utility>

namespace asyncio {

class StreamReaderProtocol final : public Protocol {
  public:
    explicit StreamReaderProtocol(StreamReader& reader) noexcept : reader_(reader) {}

    void connection_made(Transport& transport) override { reader_.set_transport(transport); }
    void data_received(std::span<const std::byte> data) override { reader_.feed_data(data); }
    bool eof_received() override {
        reader_.feed_eof();
        return false;  // close the transport
    }
    void connection_lost(std::exception_ptr error) override {
        if (error)
            reader_.set_exception(std::move(error));
        else
            reader_.feed_eof();
    }

  private:
    StreamReader& reader_;
};

}  // namespace asyncio
