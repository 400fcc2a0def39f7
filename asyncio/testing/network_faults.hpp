// SPDX-License-Identifier: MIT
//
// NetworkFaults: what a simulated network does to those who use it. The default is a good network;
// rough() draws a bad one, in which each kind of fault is there or is not, so that worlds differ in
// kind and not only in detail.
#pragma once

#include <asyncio/testing/random.hpp>

namespace asyncio::testing {

struct NetworkFaults {
    // How long a packet travels. Streams stay in order; datagrams overtake each other.
    Duration least_latency = std::chrono::microseconds(50);
    Duration most_latency = std::chrono::microseconds(500);

    // Probabilities, per packet or call.
    double loss = 0;         // of a packet: a stream sends it again later, a datagram is gone
    double duplication = 0;  // of a datagram
    double reset = 0;        // of a stream, with a packet of it: both ends get ECONNRESET
    double short_send = 0;   // a send takes only a part of what it could
    double short_receive = 0;
    double late_completion = 0;  // a completion waits for another turn of the loop
    double late_cancel = 0;      // an operation that was cancelled has its result all the same
    double queued_send = 0.5;    // a send is taken by the kernel's queue, not at once
    double accept_error = 0;     // accept fails, for the connection or for want of descriptors
    double partition = 0;        // per second: two hosts do not reach each other for a while
    double pause = 0;            // per second: a host stands still for a while
    Duration longest_outage = std::chrono::seconds(3);

    /// Bytes under way and unread before a sender has to wait.
    std::size_t window = 64 * 1024;

    static NetworkFaults rough(Random& random) noexcept;
};

}  // namespace asyncio::testing
