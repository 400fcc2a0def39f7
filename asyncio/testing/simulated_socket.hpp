// SPDX-License-Identifier: MIT
//
// What a simulated network keeps of a socket, and of a stream between two of them. A stream
// outlives its sockets for as long as packets of it are under way. Data only: network.cpp and
// network_host.cpp have the rules.
#pragma once

#include <asyncio/testing/network.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace asyncio::testing {

struct SimulatedStream {
    enum Kind : int { opening, bytes, ending, resetting };
    struct Packet {
        int kind;
        std::string data;
        TimePoint sent;
        TimePoint arrival;
    };
    /// From end[i] to end[1 - i].
    struct Way {
        std::deque<Packet> flying;
        std::size_t flying_bytes = 0;
        std::string arrived;
        std::size_t taken = 0;  // of `arrived`
        bool ended = false;     // the end arrived
        bool end_sent = false;
        int retries = 0;
        TimePoint last_arrival{};

        std::size_t unread() const noexcept { return arrived.size() - taken; }
    };

    std::uint64_t number = 0;
    bool is_pipe = false;  // within a host, from end[0] to end[1], without faults
    NetworkHost* host[2] = {};
    unsigned life[2] = {};
    SimulatedSocket* end[2] = {};  // null: closed
    Way way[2];
};

/// How a simulated program stands: what its parent holds, and what it sees.
struct SimulatedExit {
    int pid = 0;
    bool ended = false;
    bool reaped = false;
    int returncode = 0;
};

struct SimulatedSocket {
    // Types besides those of sockets.
    static constexpr int kNowhere = -1;  // takes everything and gives nothing, as /dev/null
    static constexpr int kProgram = -2;  // a pidfd: can be read when the program has ended
    static constexpr int kInotify = -3;  // can be read when there are records

    enum class Stage : std::uint8_t { fresh, listening, connecting, connected, failed };
    struct Datagram {
        std::string data;
        SocketAddress from;
    };

    SimulatedSocket(NetworkHost& h, int f, int t) noexcept : host(h), family(f), type(t) {}
    ~SimulatedSocket();

    SimulatedStream::Way& in() const noexcept { return stream->way[1 - side]; }
    SimulatedStream::Way& out() const noexcept { return stream->way[side]; }
    bool is_bound() const noexcept { return local.family() != 0; }
    int take_error() noexcept { return std::exchange(error, 0); }
    std::size_t room(std::size_t window) const noexcept;

    NetworkHost& host;
    const int family;
    const int type;
    int fd = -1;
    Stage stage = Stage::fresh;
    SocketAddress local;
    SocketAddress peer;
    int error = 0;  // pending, positive
    bool broken = false;
    bool read_shut = false;
    bool lingers_not = false;
    std::map<std::pair<int, int>, int> options;

    std::size_t backlog_limit = 0;
    std::deque<std::unique_ptr<SimulatedSocket>> backlog;

    std::shared_ptr<SimulatedStream> stream;
    int side = 0;
    std::shared_ptr<SimulatedExit> exit;
    std::shared_ptr<SimulatedInotify> inotify;

    std::set<std::string> groups;  // multicast groups it has joined
    std::deque<Datagram> datagrams;
    std::size_t datagram_bytes = 0;
};

}  // namespace asyncio::testing
