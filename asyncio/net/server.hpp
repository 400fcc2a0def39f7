// SPDX-License-Identifier: MIT
//
// start_server and Server: listening, and a task per connection.
//
//     Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) { ... }
//
//     asyncio::Server server = co_await asyncio::start_server(echo, "127.0.0.1", 8888);
//     co_await server.serve_forever();
//
// The handler runs as a task; its streams live as long as that task, and its connection is closed
// (after what was written is sent) when it returns. An exception of a handler is reported to the
// loop's exception handler and closes the connection; a cancelled handler closes it silently.
// A handler may take its streams by value (or move them away) and keep them longer: closing the
// writer is up to it then. It may be a plain function.
//
// Server is a handle; copies are the same server. Closing it stops listening and leaves established
// connections alone. Threads: the loop's.
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/net/server_options.hpp>
#include <asyncio/net/transport_socket.hpp>
#include <asyncio/os/port.hpp>
#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/writer.hpp>
#include <asyncio/task/awaitable.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

namespace net {
class ServerCore;
}

class Server {
  public:
    explicit Server(Ref<net::ServerCore> core) noexcept;
    Server(const Server&) noexcept;
    Server(Server&&) noexcept;
    Server& operator=(const Server&) noexcept;
    Server& operator=(Server&&) noexcept;
    ~Server();

    /// Begin to accept. Idempotent. std::logic_error once closed.
    void start_serving() const;
    /// Accept until close() is called elsewhere. Cancelled: closes the server, waits for its
    /// connections to end, and passes CancelledError on. std::logic_error if closed, or if another
    /// task does this already.
    Coro<> serve_forever() const;

    /// Stop listening. Idempotent.
    void close() const;
    /// Wait until the server is closed, and all its connections and handlers have ended.
    Coro<> wait_closed() const;
    /// Close all connections, after what they have buffered is sent.
    void close_clients() const;
    /// Close all connections now.
    void abort_clients() const;

    bool is_serving() const noexcept;
    /// The listening sockets; none after close().
    std::vector<TransportSocket> sockets() const;
    EventLoop& get_loop() const noexcept;

    // As an async context manager: leaving the scope closes and waits.
    Coro<> aenter() const;
    Coro<bool> aexit(std::exception_ptr) const;

  private:
    Ref<net::ServerCore> core_;
};

namespace net {

Coro<> nothing_to_await();

template <class A>
Coro<> await_and_drop(A awaitable) {
    (void)co_await std::move(awaitable);
}

/// The user's handler, whatever its shape.
class ClientHandler {
  public:
    virtual ~ClientHandler() = default;
    ASYNCIO_CORO_WRAPPER virtual Coro<> call(StreamReader& reader, StreamWriter& writer) = 0;
};

/// Any handler in the one shape the server calls.
template <class F>
class HandlerOf final : public ClientHandler {
  public:
    explicit HandlerOf(F handler) : handler_(std::move(handler)) {}

    ASYNCIO_CORO_WRAPPER Coro<> call(StreamReader& reader, StreamWriter& writer) override {
        if constexpr (std::is_invocable_v<F&, StreamReader&, StreamWriter&>) {
            return call_with(reader, writer);
        } else {
            static_assert(std::is_invocable_v<F&, StreamReader, StreamWriter>,
                          "a connection handler takes (asyncio::StreamReader&, "
                          "asyncio::StreamWriter&)");
            return call_with(std::move(reader), std::move(writer));
        }
    }

  private:
    // No coroutine here: its frame would hold an F, and GCC warns about that where F is local.
    template <class R, class W>
    ASYNCIO_CORO_WRAPPER Coro<> call_with(R&& reader, W&& writer) {
        using Result = std::invoke_result_t<F&, R, W>;
        if constexpr (std::is_same_v<Result, Coro<>>) {
            return task::call(handler_, std::forward<R>(reader), std::forward<W>(writer));
        } else if constexpr (Awaitable<Result>) {
            return await_and_drop<std::decay_t<Result>>(
                task::call(handler_, std::forward<R>(reader), std::forward<W>(writer)));
        } else {
            (void)task::call(handler_, std::forward<R>(reader), std::forward<W>(writer));
            return nothing_to_await();
        }
    }

    F handler_;
};

template <class F>
Owned<ClientHandler> make_handler(F handler) {
    return make_owned<HandlerOf<F>>(std::move(handler));
}

Coro<Server> start_server(Owned<ClientHandler> handler, std::string_view host, Port port,
                          ServerOptions options);
Coro<Server> start_server(Owned<ClientHandler> handler, std::vector<std::string> hosts, Port port,
                          ServerOptions options);
Coro<Server> start_server(Owned<ClientHandler> handler, ServerOptions options);
Coro<Server> start_unix_server(Owned<ClientHandler> handler, std::string_view path,
                               ServerOptions options);

}  // namespace net

/// Listen on all addresses of `host` (empty: all interfaces); port 0 picks a free one for each
/// address, see Server::sockets(). std::system_error names the address that could not be bound.
template <class F>
ASYNCIO_CORO_WRAPPER Coro<Server> start_server(F handler, std::string_view host, Port port,
                                               ServerOptions options = {}) {
    return net::start_server(net::make_handler(std::move(handler)), host, port, options);
}

/// The same for several hosts; an address that comes up twice is bound once.
template <class F>
ASYNCIO_CORO_WRAPPER Coro<Server> start_server(F handler, std::vector<std::string> hosts, Port port,
                                               ServerOptions options = {}) {
    return net::start_server(net::make_handler(std::move(handler)), std::move(hosts), port,
                             options);
}

/// Serve on a socket made elsewhere (options.sock), which is taken over and made to listen.
/// std::invalid_argument if it is no stream socket (then it is still the caller's).
template <class F>
ASYNCIO_CORO_WRAPPER Coro<Server> start_server(F handler, ServerOptions options) {
    return net::start_server(net::make_handler(std::move(handler)), options);
}

/// Listen on a unix socket: a path, or with a leading NUL an abstract name. A socket file that is
/// there is replaced (whether somebody listens on it or not), any other file is an error
/// (EADDRINUSE). The file is removed when the server is closed, unless it was replaced meanwhile.
/// std::invalid_argument for a path that is empty or longer than the system's 107 bytes.
template <class F>
ASYNCIO_CORO_WRAPPER Coro<Server> start_unix_server(F handler, std::string_view path,
                                                    ServerOptions options = {}) {
    return net::start_unix_server(net::make_handler(std::move(handler)), path, options);
}

/// The same on options.sock, a unix socket made elsewhere, whose file stays its maker's.
template <class F>
ASYNCIO_CORO_WRAPPER Coro<Server> start_unix_server(F handler, ServerOptions options) {
    return net::start_unix_server(net::make_handler(std::move(handler)), std::string_view(),
                                  options);
}

}  // namespace asyncio
