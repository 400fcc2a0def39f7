// SPDX-License-Identifier: MIT
#include <asyncio/os/fd.hpp>
#include <asyncio/os/kernel_tls.hpp>
#include <asyncio/os/simulated.hpp>

#include <cerrno>
#include <cstring>

#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace asyncio::os {

namespace {

constexpr char kProtocol[] = "tls";

/// How much the system wants to be told for it; 0: unknown here.
socklen_t size_of(const tls_crypto_info& crypto) noexcept {
    switch (crypto.cipher_type) {
        case TLS_CIPHER_AES_GCM_128:
            return sizeof(tls12_crypto_info_aes_gcm_128);
        case TLS_CIPHER_AES_GCM_256:
            return sizeof(tls12_crypto_info_aes_gcm_256);
        case TLS_CIPHER_CHACHA20_POLY1305:
            return sizeof(tls12_crypto_info_chacha20_poly1305);
        default:
            return 0;
    }
}

/// A socket that is not connected is refused for that, if the module is there.
bool ask_for_kernel_tls() noexcept {
    const Fd probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!probe) return false;
    return ::setsockopt(probe.get(), IPPROTO_TCP, TCP_ULP, kProtocol, sizeof kProtocol) == 0 ||
           errno == ENOTCONN;
}

}  // namespace

bool has_kernel_tls() noexcept {
    static const bool has = ask_for_kernel_tls();
    return has;
}

int start_kernel_tls(int sock, const tls_crypto_info& crypto) noexcept {
    const socklen_t size = size_of(crypto);
    if (size == 0 || is_simulated(sock)) return -EOPNOTSUPP;
    if (::setsockopt(sock, IPPROTO_TCP, TCP_ULP, kProtocol, sizeof kProtocol) != 0) return -errno;
    return ::setsockopt(sock, SOL_TLS, TLS_TX, &crypto, size) != 0 ? -errno : 0;
}

std::ptrdiff_t send_tls_record(int sock, std::uint8_t type,
                               std::span<const std::byte> content) noexcept {
    if (is_simulated(sock)) return -EOPNOTSUPP;
    iovec part = {const_cast<std::byte*>(content.data()), content.size()};  // not written through
    alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof type)] = {};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_TLS;
    header->cmsg_type = TLS_SET_RECORD_TYPE;
    header->cmsg_len = CMSG_LEN(sizeof type);
    std::memcpy(CMSG_DATA(header), &type, sizeof type);
    ssize_t sent = 0;
    do sent = ::sendmsg(sock, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

}  // namespace asyncio::os
