// SPDX-License-Identifier: MIT
#include <asyncio/net/listen.hpp>
#include <asyncio/net/secure_acceptor.hpp>
#include <asyncio/net/server.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/task.hpp>

#include <memory>
#include <stdexcept>

namespace asyncio {

namespace net {

namespace {

void report_handler(EventLoop& loop, const stream::Transport& transport) {
    ExceptionContext context;
    context.message = "Unhandled exception in client_connected_cb";
    context.exception = std::current_exception();
    context.transport = transport.peername().to_string();
    loop.call_exception_handler(context);
}

/// The task of one connection. Owns the streams, unless the handler took them over; a handler that
/// fails loses the connection in either case. `running` keeps the handler.
Coro<> serve_client(ServerCore::RunningHandler running, ClientHandler& handler, StreamReader reader,
                    StreamWriter writer) {
    const Ref<stream::Transport> transport(writer.transport());
    try {
        co_await handler.call(reader, writer);
    } catch (const CancelledError&) {
        transport->close();
        throw;
    } catch (const FatalException&) {
        transport->close();
        throw;
    } catch (...) {
        report_handler(running.server().loop(), *transport);
        transport->close();
    }
    if (writer.valid()) writer.close();
}

/// Streams, and a task for their handler.
class StreamAcceptor final : public Acceptor {
  public:
    StreamAcceptor(Owned<ClientHandler> handler, std::size_t limit) noexcept
        : handler_(std::move(handler)), limit_(limit) {}

    Ref<stream::Protocol> make_protocol() override {
        const Ref<stream::StreamCore> core(new stream::StreamCore(limit_));
        core->set_server_side();
        return core;
    }
    void connected(ServerCore& server, stream::Transport&, stream::Protocol& protocol) override {
        const Ref<stream::StreamCore> core(&static_cast<stream::StreamCore&>(protocol));
        (void)server.loop().create_task(serve_client(ServerCore::RunningHandler(server), *handler_,
                                                     StreamReader(core), StreamWriter(core)));
    }

  private:
    Owned<ClientHandler> handler_;
    std::size_t limit_;
};

}  // namespace

Coro<Server> listen_on(std::unique_ptr<Acceptor> acceptor, std::vector<std::string> hosts,
                       Port port, ServerOptions options) {
    Ref<ServerCore> core = co_await listen(std::move(acceptor), std::move(hosts), port, options);
    co_return Server(std::move(core));
}

Coro<Server> listen_on_path(std::unique_ptr<Acceptor> acceptor, std::string path,
                            ServerOptions options) {
    Ref<ServerCore> core = co_await listen_unix(std::move(acceptor), std::move(path), options);
    co_return Server(std::move(core));
}

ASYNCIO_CORO_WRAPPER
Coro<Server> start_server(Owned<ClientHandler> handler, std::vector<std::string> hosts, Port port,
                          ServerOptions options) {
    auto acceptor = std::make_unique<StreamAcceptor>(std::move(handler), options.limit);
    return listen_on(secured(std::move(acceptor), options), std::move(hosts), port, options);
}

ASYNCIO_CORO_WRAPPER
Coro<Server> start_server(Owned<ClientHandler> handler, std::string_view host, Port port,
                          ServerOptions options) {
    return start_server(std::move(handler), std::vector(1, std::string(host)), port, options);
}

ASYNCIO_CORO_WRAPPER
Coro<Server> start_server(Owned<ClientHandler> handler, ServerOptions options) {
    return start_server(std::move(handler), std::vector<std::string>(), 0, options);
}

ASYNCIO_CORO_WRAPPER
Coro<Server> start_unix_server(Owned<ClientHandler> handler, std::string_view path,
                               ServerOptions options) {
    auto acceptor = std::make_unique<StreamAcceptor>(std::move(handler), options.limit);
    return listen_on_path(secured(std::move(acceptor), options), std::string(path), options);
}

Coro<> nothing_to_await() { co_return; }

Coro<> wait_closed(Ref<ServerCore> core) {
    while (!core->finished()) co_await task::NextWake(core->changed());
}

namespace {

Coro<> wait_until_closed(Ref<ServerCore> core) {
    while (!core->is_closed()) co_await task::NextWake(core->changed());
}

}  // namespace

Coro<> serve_forever(Ref<ServerCore> core) {
    if (core->served_forever)
        throw std::logic_error("server is already being awaited on serve_forever()");
    core->start_serving();
    core->served_forever = true;
    Outcome<void> outcome = co_await as_outcome(wait_until_closed(core));
    core->served_forever = false;
    if (!outcome) {
        core->close();
        co_await wait_closed(core);
        outcome.value();
    }
}

}  // namespace net

Server::Server(Ref<net::ServerCore> core) noexcept : core_(std::move(core)) {}
Server::Server(const Server&) noexcept = default;
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(const Server&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

void Server::start_serving() const { core_->start_serving(); }
ASYNCIO_CORO_WRAPPER Coro<> Server::serve_forever() const { return net::serve_forever(core_); }
void Server::close() const { core_->close(); }
ASYNCIO_CORO_WRAPPER Coro<> Server::wait_closed() const { return net::wait_closed(core_); }
void Server::close_clients() const { core_->close_clients(); }
void Server::abort_clients() const { core_->abort_clients(); }
bool Server::is_serving() const noexcept { return core_->is_serving(); }
EventLoop& Server::get_loop() const noexcept { return core_->loop(); }

std::vector<TransportSocket> Server::sockets() const {
    std::vector<TransportSocket> sockets;
    for (const int fd : core_->sockets()) sockets.emplace_back(fd);
    return sockets;
}

Coro<> Server::aenter() const { co_return; }

Coro<bool> Server::aexit(std::exception_ptr) const {
    Server self = *this;
    self.close();
    co_await self.wait_closed();
    co_return false;
}

}  // namespace asyncio
