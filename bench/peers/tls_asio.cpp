// SPDX-License-Identifier: MIT
//
// TLS echo with Boost.Asio's coroutines and SSL streams. CERTIFICATE KEY PORT.
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <cstdlib>
#include <exception>

#include <sys/resource.h>

namespace asio = boost::asio;
using asio::ip::tcp;
using Stream = asio::ssl::stream<tcp::socket>;

asio::awaitable<void> session(tcp::socket socket, asio::ssl::context& context) {
    try {
        socket.set_option(tcp::no_delay(true));
        Stream stream(std::move(socket), context);
        co_await stream.async_handshake(Stream::server, asio::use_awaitable);
        char data[16384];
        for (;;) {
            const std::size_t count =
                co_await stream.async_read_some(asio::buffer(data), asio::use_awaitable);
            co_await asio::async_write(stream, asio::buffer(data, count), asio::use_awaitable);
        }
    } catch (const std::exception&) {  // the end
    }
}

asio::awaitable<void> serve(asio::ssl::context& context, unsigned short port) {
    const auto executor = co_await asio::this_coro::executor;
    tcp::acceptor acceptor(executor, {asio::ip::address_v4::loopback(), port});
    acceptor.listen(4096);
    for (;;) {
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        asio::co_spawn(executor, session(std::move(socket), context), asio::detached);
    }
}

int main(int argc, char** argv) {
    if (argc < 4) return 2;
    const rlimit many = {65536, 65536};
    ::setrlimit(RLIMIT_NOFILE, &many);
    asio::io_context io(1);
    asio::ssl::context context(asio::ssl::context::tls_server);
    context.use_certificate_chain_file(argv[1]);
    context.use_private_key_file(argv[2], asio::ssl::context::pem);
    const auto port = static_cast<unsigned short>(std::atoi(argv[3]));
    asio::co_spawn(io, serve(context, port), asio::detached);
    io.run();
}
