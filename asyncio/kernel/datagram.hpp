// SPDX-License-Identifier: MIT
//
// Datagram: what a completion of Opcode::receive_from brings. DatagramBatch: many of them with one
// system call, where there is no multishot.
//
// A datagram of more than `largest` bytes (unix sockets have such) arrives cut off, and says so.
// The memory of a batch is touched only where bytes arrived. Threads: the kernel's.
#pragma once

#include <asyncio/kernel/operation.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace asyncio::kernel {

/// Every completion of receive_from with `more` is one of these. An empty datagram has result 0.
struct Datagram : Completion {
    const sockaddr* address = nullptr;  // of the sender; size 0: it has none
    std::uint32_t address_size = 0;
    bool truncated = false;
};

class DatagramBatch {
  public:
    static constexpr std::size_t largest = 64 * 1024;
    static constexpr unsigned most = 32;

    DatagramBatch();
    ~DatagramBatch();
    DatagramBatch(const DatagramBatch&) = delete;
    DatagramBatch& operator=(const DatagramBatch&) = delete;

    /// How many were there, up to `most`; or -errno. They are valid until the next call.
    int receive(int fd) noexcept;
    Datagram operator[](int index) const noexcept;

  private:
    struct Headers;
    std::unique_ptr<Headers> headers_;
    std::unique_ptr<std::byte[]> memory_;
};

}  // namespace asyncio::kernel
