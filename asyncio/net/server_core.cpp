// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/net/server_core.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/task/task.hpp>

#include <cerrno>
#include <stdexcept>

namespace asyncio::net {

/// A listening socket and its accept operation.
class ServerCore::Listener {
  public:
    Listener(ServerCore& server, os::Fd fd) : fd_(fd.release()), server_(server) {
        accept_.owner = this;
        accept_.fd = fd_;
    }
    ~Listener() {
        retry_.cancel();
        kernel::Kernel& kernel = server_.loop_.kernel();
        kernel.reclaim(accept_);
        kernel.close(fd_);
    }

    int fd() const noexcept { return fd_; }

    void accept() {
        while (accept_.idle() && server_.is_serving()) {
            if (server_.loop_.kernel().submit(accept_)) return;
            if (!take(accept_.inline_result)) return;
        }
    }

    void accept_later() {
        retry_ = server_.loop_.call_later(kAcceptRetryDelay, [this] { accept(); });
    }

  private:
    static void on_accept(kernel::Operation& operation, const kernel::Completion& completion) {
        auto& self = *static_cast<Listener*>(operation.owner);
        const Ref<ServerCore> keep(&self.server_);
        if (self.take(completion.result) && keep->is_serving()) self.accept();
    }

    /// False if accepting has to pause or end.
    bool take(int result) {
        if (result >= 0) {
            server_.accepted(os::Fd(result));
            return true;
        }
        if (result == -ECANCELED) return false;
        if (os::is_transient_accept_error(-result)) return true;
        server_.accept_failed(*this, -result);
        return false;
    }

    int fd_;
    ServerCore& server_;
    kernel::Operation accept_{kernel::Opcode::accept, &on_accept};
    Handle retry_;
};

/// One connection, from accept to connection_lost.
class ServerCore::Client final : public IntrusiveListNode<Client>, private loop::Member {
  public:
    Client(Ref<ServerCore> owner, Ref<stream::StreamCore> streams)
        : server(std::move(owner)), core(std::move(streams)) {
        core->on_lost = &lost;
        core->on_lost_argument = this;
        server->loop_.members().push_back(*this);
    }
    ~Client() { core->on_lost = nullptr; }

    Ref<ServerCore> server;
    Ref<stream::StreamCore> core;

  private:
    static void lost(stream::StreamCore&, void* argument) noexcept {
        const std::unique_ptr<Client> self(static_cast<Client*>(argument));
        self->IntrusiveListNode<Client>::unlink();
        if (self->server->finished()) self->server->changed_.wake_all();
    }
    void loop_closed() noexcept override { delete this; }
};

namespace {

void report_handler(EventLoop& loop, const stream::Transport& transport) {
    ExceptionContext context;
    context.message = "Unhandled exception in client_connected_cb";
    context.exception = std::current_exception();
    context.transport = transport.peername().to_string();
    loop.call_exception_handler(context);
}

/// The task of one connection. Owns the streams, unless the handler took them over; a handler that
/// fails loses the connection in either case.
Coro<> serve_client(Ref<ServerCore> server, StreamReader reader, StreamWriter writer) {
    const ServerCore::RunningHandler running(*server);
    const Ref<stream::Transport> transport(writer.transport());
    try {
        co_await server->handler().call(reader, writer);
    } catch (const CancelledError&) {
        transport->close();
        throw;
    } catch (const FatalException&) {
        transport->close();
        throw;
    } catch (...) {
        report_handler(server->loop(), *transport);
        transport->close();
    }
    if (writer.valid()) writer.close();
}

}  // namespace

ServerCore::ServerCore(EventLoop& loop, std::unique_ptr<ClientHandler> handler,
                       ServerOptions options) noexcept
    : loop_(loop), handler_(std::move(handler)), options_(options) {
    loop_.members().push_back(*this);
}

ServerCore::~ServerCore() = default;

void ServerCore::add_socket(os::Fd fd) {
    listeners_.push_back(std::make_unique<Listener>(*this, std::move(fd)));
}

void ServerCore::start_serving() {
    if (is_closed()) throw std::logic_error("the server is closed");
    if (is_serving()) return;
    for (const auto& listener : listeners_) {
        const int result = os::listen(listener->fd(), options_.backlog);
        if (result < 0) os::throw_system_error(-result, "listen");
    }
    stage_ = Stage::serving;
    add_ref();  // its own, until close()
    for (const auto& listener : listeners_) listener->accept();
}

void ServerCore::accepted(os::Fd fd) {
    try {
        if (options_.keep_alive) os::set_option(fd.get(), os::SocketOption::keep_alive, 1);
        const Ref<stream::StreamCore> core(new stream::StreamCore(options_.limit));
        auto client = std::make_unique<Client>(Ref<ServerCore>(this), core);
        const auto transport = SocketTransport::open(loop_, std::move(fd), core);
        clients_.push_back(*client.release());
        (void)loop_.create_task(
            serve_client(Ref<ServerCore>(this), StreamReader(core), StreamWriter(core)));
    } catch (...) {  // out of memory: this connection is dropped, the server goes on
        ExceptionContext context;
        context.message = "Error on creating a connection for an accepted socket";
        context.exception = std::current_exception();
        loop_.call_exception_handler(context);
    }
}

void ServerCore::accept_failed(Listener& listener, int errno_value) {
    ExceptionContext context;
    context.message = "socket.accept() out of system resource";
    context.exception =
        std::make_exception_ptr(std::system_error(errno_value, std::generic_category(), "accept"));
    listener.accept_later();
    loop_.call_exception_handler(context);
}

void ServerCore::close() {
    if (is_closed()) return;
    const Ref<ServerCore> keep(this);
    const bool was_serving = is_serving();
    stage_ = Stage::closed;
    listeners_.clear();
    changed_.wake_all();
    loop::Member::unlink();
    if (was_serving) (void)drop_ref();
}

void ServerCore::close_clients() {
    clients_.for_each([](Client& client) { client.core->transport()->close(); });
}

void ServerCore::abort_clients() {
    clients_.for_each([](Client& client) { client.core->transport()->abort(); });
}

std::vector<int> ServerCore::sockets() const {
    std::vector<int> fds;
    for (const auto& listener : listeners_) fds.push_back(listener->fd());
    return fds;
}

void ServerCore::loop_closed() noexcept {
    const Ref<ServerCore> keep(this);
    const bool was_serving = is_serving();
    stage_ = Stage::closed;
    listeners_.clear();
    if (!was_serving) return;
    log(LogLevel::warning, "unclosed server: its sockets are closed with the loop");
    (void)drop_ref();
}

}  // namespace asyncio::net
