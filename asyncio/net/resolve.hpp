// SPDX-License-Identifier: MIT
//
// resolve: host names to addresses.
//
// A literal address is parsed here, without suspending. Anything else goes to getaddrinfo on one of
// at most kMaxLookupThreads threads of the process (the system's resolver blocks and cannot be
// interrupted); further lookups queue. Cancelling takes a queued lookup back; one that runs goes on
// in its thread, and its answer is dropped. The threads are no loop's default pool: a slow name
// server must not hold up the work of to_thread.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/os/socket_address.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace asyncio::net {

inline constexpr int kMaxLookupThreads = 4;
/// Longer names are refused: DNS has none.
inline constexpr std::size_t kMaxHostName = 255;

/// The addresses of `host` for stream sockets, in the resolver's order, each once. An empty host
/// means all interfaces (for listening). std::system_error when there is none.
Coro<std::vector<SocketAddress>> resolve(std::string host, std::uint16_t port);

}  // namespace asyncio::net
