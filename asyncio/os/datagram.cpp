// SPDX-License-Identifier: MIT
#include <asyncio/os/datagram.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/os/socket_address.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace asyncio::os {

namespace {

int change_membership(int fd, const SocketAddress& group, unsigned interface, int name) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]  // with one interface
        return name == MCAST_JOIN_GROUP ? system->join_group(fd, group)
                                        : system->leave_group(fd, group);
    group_req request = {};
    request.gr_interface = interface;
    std::memcpy(&request.gr_group, group.raw(), group.size());
    const int level = group.family() == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
    return ::setsockopt(fd, level, name, &request, sizeof request) == 0 ? 0 : -errno;
}

}  // namespace

std::ptrdiff_t try_send_to(int fd, std::span<const std::byte> data,
                           const SocketAddress* to) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->send_to(fd, data, to);
    const sockaddr* const address = to != nullptr ? to->raw() : nullptr;
    const socklen_t size = to != nullptr ? to->size() : 0;
    ssize_t result = 0;
    do result = ::sendto(fd, data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT, address, size);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

std::ptrdiff_t try_receive_from(int fd, std::span<std::byte> buffer, SocketAddress& from) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->receive_from(fd, buffer, from);
    SocketAddress sender;
    socklen_t size = SocketAddress::capacity;
    ssize_t result = 0;
    do result = ::recvfrom(fd, buffer.data(), buffer.size(), MSG_DONTWAIT, sender.raw(), &size);
    while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    sender.set_size(std::min<socklen_t>(size, SocketAddress::capacity));
    from = sender;
    return result;
}

int join_group(int fd, const SocketAddress& group, unsigned interface) noexcept {
    return change_membership(fd, group, interface, MCAST_JOIN_GROUP);
}

int leave_group(int fd, const SocketAddress& group, unsigned interface) noexcept {
    return change_membership(fd, group, interface, MCAST_LEAVE_GROUP);
}

int set_multicast_ttl(int fd, int family, int ttl) noexcept {
    return family == AF_INET6 ? set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, ttl)
                              : set_option(fd, IPPROTO_IP, IP_MULTICAST_TTL, ttl);
}

int set_multicast_loop(int fd, int family, bool on) noexcept {
    return family == AF_INET6 ? set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, on)
                              : set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, on);
}

int set_multicast_interface(int fd, int family, unsigned interface) noexcept {
    if (family == AF_INET6)
        return set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, static_cast<int>(interface));
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->set_option(fd, IPPROTO_IP, IP_MULTICAST_IF, static_cast<int>(interface));
    ip_mreqn request = {};
    request.imr_ifindex = static_cast<int>(interface);
    return ::setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request) == 0 ? 0
                                                                                        : -errno;
}

unsigned interface_index(const char* name) noexcept { return ::if_nametoindex(name); }

}  // namespace asyncio::os
