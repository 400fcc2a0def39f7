// SPDX-License-Identifier: MIT
//
// make_layer: TLS between a transport and a protocol. What it gives is two objects: to the
// transport below a protocol (TlsLayer), to the protocol above a transport (TlsTransport), which
// owns the Engine and the state:
//
//            connection_made,            handshake
//            upgrade()                   complete              close(), close_notify of the peer
//   created ----------> handshaking ---------------> open ------------------> shutting
//                            |   any error, abort(),  |                          |
//                            |   close(), time limit  |  error, abort()          |  close_notify of
//                            v                        v                          v  the peer, time
//                            limit
//                          ending <------------------------------------------- ending
//                            |
//                            '-- connection_lost from below --> lost
//
// shutting: our close_notify is out (behind all that was written), and the peer's is awaited for
// shutdown_timeout. What it still sends is dropped. An end of the connection below is fine then.
// ending: the transport below was told to close (what is left, e.g. an alert, goes out first) or to
// abort. A peer that does not take the alert is aborted after shutdown_timeout.
//
// Reading. What comes is decrypted at once and handed up, a record at a time; nothing is kept while
// the protocol above reads. If it pauses, the transport below is paused, and what came meanwhile
// stays encrypted; but a message for whose end something written waits is read to its end.
// Writing. What is written is encrypted at once and given to the transport below, whose buffer is
// the only one; its limits are raised to kHighWater. A client's handshake ends in one send with
// what connection_made() writes. What a server's ends with waits until those had their turn whom
// that made ready: the answer to a request that came with it goes out with it. Only what is written
// during a handshake, from within pause_writing(), or while a message of the peer's about the
// connection itself is incomplete, waits here for its turn: it pauses the protocol, too, and
// close() waits for it. A peer may provoke answers (KeyUpdate). One that does not take them is
// given up when they come to 64 KiB above the high-water mark. Not to read on until it takes them
// was rejected: two such peers, both full, would wait for each other. Where the kernel encrypts
// (Engine::offer_kernel()), what is written goes below as it is. Handshake and goodbye then wait,
// here and there, until everything is with the system and it takes more: they go on with the next
// advance(), and the time limits of both hold.
//
// Calls from below may come within calls to below, and calls from above within calls to above:
// advancing_ and writing_ make those nested calls leave their work to the outer one.
//
// Threads: the loop's.
#pragma once

#include <asyncio/stream/secure.hpp>

#include <cstddef>

namespace asyncio::ssl {
class SSLContext;
}

namespace asyncio::tls {

inline constexpr std::size_t kHighWater = 512u << 10;  // encrypted bytes not sent yet: pause at it

Ref<stream::SecureLayer> make_layer(const ssl::SSLContext& context, Ref<stream::Protocol> above,
                                    const stream::SecureOptions& options);

}  // namespace asyncio::tls
