// SPDX-License-Identifier: MIT
#include <asyncio/net/transport_socket.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/stream/writer.hpp>

namespace asyncio {

namespace {

int checked(int result, const char* what) {
    if (result < 0) os::throw_system_error(-result, what);
    return result;
}

}  // namespace

SocketAddress TransportSocket::getsockname() const {
    SocketAddress address;
    checked(os::local_address(fd_, address), "getsockname");
    return address;
}

SocketAddress TransportSocket::getpeername() const {
    SocketAddress address;
    checked(os::peer_address(fd_, address), "getpeername");
    return address;
}

int TransportSocket::getsockopt(os::SocketOption option) const {
    return checked(os::get_option(fd_, option), "getsockopt");
}

void TransportSocket::setsockopt(os::SocketOption option, int value) const {
    checked(os::set_option(fd_, option, value), "setsockopt");
}

int TransportSocket::getsockopt(int level, int name) const {
    int value = 0;
    checked(os::get_option(fd_, level, name, value), "getsockopt");
    return value;
}

void TransportSocket::setsockopt(int level, int name, int value) const {
    checked(os::set_option(fd_, level, name, value), "setsockopt");
}

PeerCredentials TransportSocket::peer_credentials() const {
    PeerCredentials credentials;
    checked(os::peer_credentials(fd_, credentials), "SO_PEERCRED");
    return credentials;
}

TransportSocket StreamWriter::socket() const {
    return TransportSocket(core_->transport() != nullptr ? core_->transport()->fileno() : -1);
}

}  // namespace asyncio
