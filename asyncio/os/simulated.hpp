// SPDX-License-Identifier: MIT
//
// SimulatedSystem: who answers the calls of this room for descriptors that the real system did not
// give. A simulation (testing/simulation.hpp) runs a whole network of hosts in one thread; the
// library above makes its calls as ever, and this is where they turn off.
//
// The seam costs ordinary programs one comparison a call: simulated descriptors are numbers that
// the system never gives, from kFirstSimulated on. So it is clear from the number where a call
// goes, and os::Fd, Kernel::close() and every copy of the number are right by themselves. Only the
// calls that make a descriptor, or look up a name, ask whether this thread simulates a host now.
//
// Rejected: the kernel interface owning sockets (names, options and shutdown would be virtual calls
// in every program, through a loop that many callers do not have at hand); replacing the calls at
// link time (one program could not do both).
//
// The meaning of each call is that of the function of its name in os/socket.hpp and
// os/datagram.hpp.
//
// Threads: one system a thread; it is set while code of one of its hosts runs.
#pragma once

#include <asyncio/os/socket_address.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

struct iovec;

namespace asyncio::os {

enum class Shutdown : std::uint8_t;

inline constexpr int kFirstSimulated = 1 << 30;

class SimulatedSystem {
  public:
    virtual ~SimulatedSystem() = default;

    virtual int open_socket(int family, int type) noexcept = 0;
    virtual void close(int fd) noexcept = 0;

    virtual int bind(int fd, const SocketAddress& address) noexcept = 0;
    virtual int listen(int fd, int backlog) noexcept = 0;
    virtual int connect(int fd, const SocketAddress& address) noexcept = 0;
    virtual int accept(int fd) noexcept = 0;
    virtual int shutdown(int fd, Shutdown how) noexcept = 0;

    virtual int local_address(int fd, SocketAddress& address) noexcept = 0;
    virtual int peer_address(int fd, SocketAddress& address) noexcept = 0;
    virtual int set_option(int fd, int level, int name, int value) noexcept = 0;
    virtual int get_option(int fd, int level, int name, int& value) noexcept = 0;

    virtual std::ptrdiff_t send(int fd, const iovec* buffers, std::size_t count) noexcept = 0;
    virtual std::ptrdiff_t receive(int fd, std::span<std::byte> buffer) noexcept = 0;
    virtual std::ptrdiff_t send_to(int fd, std::span<const std::byte> data,
                                   const SocketAddress* to) noexcept = 0;
    virtual std::ptrdiff_t receive_from(int fd, std::span<std::byte> buffer,
                                        SocketAddress& from) noexcept = 0;

    /// The addresses of that name; none: nobody has it.
    virtual std::vector<SocketAddress> look_up(const std::string& host, std::uint16_t port) = 0;
};

/// The host whose code runs in this thread now; null in ordinary programs.
extern thread_local constinit SimulatedSystem* simulated_system;

inline bool is_simulated(int fd) noexcept { return fd >= kFirstSimulated; }

/// Who answers for `fd`; null: the real system.
inline SimulatedSystem* system_of(int fd) noexcept {
    if (!is_simulated(fd)) [[likely]]
        return nullptr;
    return simulated_system;
}

}  // namespace asyncio::os
