// SPDX-License-Identifier: MIT
//
// loop.sock_sendfile and loop.sendfile: a file out of a socket or a transport.
//
//     std::size_t sent = co_await loop.sendfile(*writer.transport(), file, {.offset = 100});
//
// The system copies from file to socket by itself (sendfile), over TLS if the kernel encrypts
// (SSLContext::enable_ktls); where it cannot, the file is read and written, unless `fallback` is
// off. Returns how many bytes were sent: `count`, or up to the end of the file. Afterwards the
// file's position is behind the last byte sent, also after an error or a cancellation.
//
// On a transport: what was written before goes out first, write() throws std::logic_error
// meanwhile, and reading is paused. std::logic_error if it is closing. If it is closed or lost
// meanwhile: std::system_error, at once; close() sends what the transport has taken by then.
//
// The file is read on the loop's thread: for files that may not be in memory (a network's, a slow
// disk's) that is what it costs. Threads: the loop's.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/loop/event_loop.hpp>

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace asyncio {

struct SendfileOptions {
    std::uint64_t offset = 0;
    Option<std::size_t> count = {};  // bytes, positive; none: up to the end of the file
    bool fallback = true;            // read and write where the system cannot send the file
};

/// The system cannot send this file out of this socket, and `fallback` is off.
class SendfileNotAvailableError final : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

}  // namespace asyncio
