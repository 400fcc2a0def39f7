// SPDX-License-Identifier: MIT
//
// KernelTls: what a transport offers that can have the system encrypt what it sends
// (os/kernel_tls.hpp). The tls room, which knows the keys, uses it; the net room, which has the
// socket, implements it.
//
//            start()
//   plain ------------> the system makes the records: of what is written to the transport and of
//                       files sent by it, records of data; send_record() makes those of other types
//
// Only sending. What comes in stays as it is. Threads: the loop's.
#pragma once

#include <asyncio/base/unique_function.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

struct tls_crypto_info;

namespace asyncio::stream {

class KernelTls {
  public:
    /// The system has it. Else start() is false.
    virtual bool is_supported() const noexcept = 0;
    /// All that was written is with the system, and nobody sends past write().
    virtual bool is_flushed() const noexcept = 0;
    /// False: the system cannot, and nothing has changed. REQUIRES: is_flushed().
    virtual bool start(const tls_crypto_info& crypto) noexcept = 0;
    /// One record of that type, all of it: 0, or an errno; EAGAIN: see when_room().
    /// REQUIRES: is_flushed(), start() was true.
    virtual int send_record(std::uint8_t type, std::span<const std::byte> content) noexcept = 0;
    /// Have `call` called from the loop, once, when everything is flushed and the system takes
    /// more. A second call takes the place of the first; the end of the connection drops it.
    virtual void when_room(UniqueFunction<void()> call) = 0;

  protected:
    ~KernelTls() = default;
};

}  // namespace asyncio::stream
