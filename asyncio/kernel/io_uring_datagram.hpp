// SPDX-License-Identifier: MIT
//
// What a multishot receive of io_uring leaves in a buffer for each datagram: a header, room for the
// sender's address, of which as many bytes count as the header says, and the bytes that came.
//
// The numbers in the header are what the message had; what is there may be less, and nothing is
// read behind it. Threads: any.
#pragma once

#include <asyncio/kernel/datagram.hpp>

#include <optional>
#include <span>

struct msghdr;

namespace asyncio::kernel {

/// What each receive asks for. It stays, and is not written to.
msghdr& io_uring_datagram_layout() noexcept;

/// `written`: as much of the buffer as the system says; the datagram leads into it. nullopt: less
/// than a header and an address.
std::optional<Datagram> read_io_uring_datagram(std::span<const std::byte> written) noexcept;

}  // namespace asyncio::kernel
