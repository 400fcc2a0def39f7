// SPDX-License-Identifier: MIT
//
// TLS in the kernel (Documentation/networking/tls.rst of Linux): once a connected TCP socket has
// been given the keys to send with, the system makes the records of whatever is sent on it, from
// files, too. There is no way back. Thin, as os/socket.hpp: results are 0 or more, or -errno.
//
// A socket of a simulation has none of it. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct tls_crypto_info;

namespace asyncio::os {

/// The system has it. Asked once in the life of the program: to ask for a module that is not there
/// makes the system look for it, which takes milliseconds.
bool has_kernel_tls() noexcept;

/// From now on the system encrypts what `sock` sends. `crypto` begins one of the structures of
/// linux/tls.h, with all of the rest for its cipher. After an error it sends as before.
int start_kernel_tls(int sock, const tls_crypto_info& crypto) noexcept;

/// One record of that type, all of it, behind what was sent. -EAGAIN: the socket takes none now.
std::ptrdiff_t send_tls_record(int sock, std::uint8_t type,
                               std::span<const std::byte> content) noexcept;

}  // namespace asyncio::os
