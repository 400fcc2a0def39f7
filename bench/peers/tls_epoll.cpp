// SPDX-License-Identifier: MIT
//
// The floor of TLS echo: OpenSSL on the sockets, epoll, nothing else. CERTIFICATE KEY PORT.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct Connection {
    SSL* ssl;
    int fd;
    int pending = 0;  // bytes of `data` that wait for room
    char* data = nullptr;
};

char memory[65536];

/// Echo what there is. False when the connection is over.
bool serve(Connection& connection) {
    if (!SSL_is_init_finished(connection.ssl)) {
        const int result = SSL_accept(connection.ssl);
        if (result != 1) {
            const int error = SSL_get_error(connection.ssl, result);
            return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
        }
    }
    for (;;) {
        if (connection.pending > 0) {
            const int sent = SSL_write(connection.ssl, connection.data, connection.pending);
            if (sent <= 0) return SSL_get_error(connection.ssl, sent) == SSL_ERROR_WANT_WRITE;
            std::free(connection.data);
            connection.data = nullptr;
            connection.pending = 0;
        }
        const int count = SSL_read(connection.ssl, memory, sizeof memory);
        if (count <= 0) return SSL_get_error(connection.ssl, count) == SSL_ERROR_WANT_READ;
        const int sent = SSL_write(connection.ssl, memory, count);
        if (sent > 0) continue;
        if (SSL_get_error(connection.ssl, sent) != SSL_ERROR_WANT_WRITE) return false;
        connection.data = static_cast<char*>(std::malloc(static_cast<std::size_t>(count)));
        __builtin_memcpy(connection.data, memory, static_cast<std::size_t>(count));
        connection.pending = count;
        return true;
    }
}

void accept_all(int listener, int poll, SSL_CTX* context) {
    for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        auto* connection = new Connection{SSL_new(context), fd};
        SSL_set_fd(connection->ssl, fd);
        SSL_set_accept_state(connection->ssl);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.ptr = connection;
        ::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) return 2;
    const rlimit many = {65536, 65536};
    ::setrlimit(RLIMIT_NOFILE, &many);
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_read_ahead(context, 1);  // a record with one system call
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1)
        return 1;
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[3])));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, 4096) != 0)
        return 1;
    const int poll = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
    epoll_event events[256];
    for (;;) {
        const int count = ::epoll_wait(poll, events, 256, -1);
        for (int i = 0; i < count; ++i) {
            auto* connection = static_cast<Connection*>(events[i].data.ptr);
            if (connection == nullptr) {
                accept_all(listener, poll, context);
            } else if (!serve(*connection)) {
                SSL_free(connection->ssl);
                ::close(connection->fd);
                std::free(connection->data);
                delete connection;
            }
        }
    }
}
