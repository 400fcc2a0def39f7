// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/base/system_error.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/report_error.hpp>
#include <asyncio/net/server_core.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/socket.hpp>

#include <cerrno>
#include <memory>
#include <stdexcept>

namespace asyncio::net {

/// A listening socket and its accept operation.
class ServerCore::Listener final : private loop::PollHook {
  public:
    Listener(ServerCore& server, os::Fd fd, SocketFile file)
        : fd_(fd.release()), server_(server), file_(std::move(file)) {
        accept_.owner = this;
        accept_.fd = fd_;
    }
    ~Listener() {
        retry_.cancel();
        kernel::Kernel& kernel = server_.loop_.kernel();
        kernel.reclaim(accept_);
        kernel.close(fd_);
        os::remove_if_still(file_.path, file_.identity);
    }

    int fd() const noexcept { return fd_; }

    void accept() {
        while (accept_.idle() && server_.is_serving()) {
            if (server_.loop_.kernel().submit(accept_)) return;
            if (!take(accept_.inline_result)) return;
        }
    }

    /// Who has connected already is served.
    void stop() {
        retry_.cancel();
        for (const int fd : server_.loop_.kernel().reclaim_accept(accept_))
            server_.accepted(os::Fd(fd));
        for (int i = 0; i < kMostAcceptedAtClose; ++i) {
            const int fd = os::try_accept(fd_);
            if (fd >= 0)
                server_.accepted(os::Fd(fd));
            else if (!os::is_transient_accept_error(-fd))
                return;
        }
    }

    /// Without memory for a timer the pause lasts one iteration of the loop.
    void accept_later() noexcept {
        paused_ = true;
        try {
            retry_ = server_.loop_.call_later(kAcceptRetryDelay, [this] { resume(); });
        } catch (const std::bad_alloc&) {
            server_.loop_.before_poll(*this);
        }
    }
    /// A descriptor has come free: a pause is over.
    void accept_soon() noexcept {
        if (!paused_) return;
        try {
            Handle soon = server_.loop_.call_soon([this] { resume(); });
            retry_.cancel();
            retry_ = std::move(soon);
            paused_ = false;
        } catch (const std::bad_alloc&) {  // the pause ends by itself
        }
    }

  private:
    void resume() {
        paused_ = false;
        accept();
    }
    void before_poll() noexcept override { resume(); }
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
    SocketFile file_;
    kernel::Operation accept_{kernel::Opcode::accept, &on_accept};
    Handle retry_;
    bool paused_ = false;  // until retry_
};

ServerCore::ServerCore(EventLoop& loop, std::unique_ptr<Acceptor> acceptor,
                       ServerOptions options) noexcept
    : loop_(loop), acceptor_(std::move(acceptor)), options_(options) {
    loop_.members().push_back(*this);
}

ServerCore::~ServerCore() = default;

void ServerCore::add_socket(os::Fd fd, SocketFile file) {
    // Connections inherit it.
    if (options_.keep_alive) os::set_option(fd.get(), os::SocketOption::keep_alive, 1);
    listeners_.push_back(std::make_unique<Listener>(*this, std::move(fd), std::move(file)));
}

void ServerCore::start_serving() {
    if (is_closed()) throw std::logic_error("the server is closed");
    if (is_serving()) return;
    for (const auto& listener : listeners_) {
        const int result = os::listen(listener->fd(), options_.backlog);
        if (result < 0) os::throw_system_error(-result, "listen");
    }
    stage_ = Stage::serving;
    context_ = ContextSlot::copy_current();
    add_ref();  // its own, until close()
    for (const auto& listener : listeners_) listener->accept();
}

void ServerCore::accepted(os::Fd fd) {
    ContextSlot context = context_.copy();
    const ContextScope scope(context);
    Ref<SocketTransport> transport;
    try {
        const Ref<stream::Protocol> protocol = acceptor_->make_protocol();
        transport = SocketTransport::create(loop_, std::move(fd), protocol);
        transport->belong_to(*this, clients_);
        transport->start();
        acceptor_->connected(*this, *transport, *protocol);
    } catch (...) {  // out of memory, or the factory failed: the server goes on
        if (transport) transport->abort();
        loop::report_error(loop_, "Error on transport creation for incoming connection",
                           std::current_exception());
    }
}

void ServerCore::connection_lost() noexcept {
    for (const auto& listener : listeners_) listener->accept_soon();
    if (finished()) changed_.wake_all();
}

void ServerCore::accept_failed(Listener& listener, int errno_value) {
    listener.accept_later();
    const TimePoint now = loop_.time();
    if (now < next_accept_report_) return;
    next_accept_report_ = now + kAcceptRetryDelay;
    loop::report_error(loop_, "socket.accept() out of system resource",
                       make_system_error(errno_value, "accept"));
}

void ServerCore::close() {
    if (is_closed()) return;
    const Ref<ServerCore> keep(this);
    const bool was_serving = is_serving();
    stage_ = Stage::closed;
    if (was_serving)
        for (const auto& listener : listeners_) listener->stop();
    listeners_.clear();
    changed_.wake_all();
    loop::Member::unlink();
    if (was_serving) (void)drop_ref();
}

void ServerCore::close_clients() {
    clients_.for_each([](SocketTransport& client) {
        if (stream::Protocol* protocol = client.get_protocol()) protocol->close_connection(client);
    });
}

void ServerCore::abort_clients() {
    clients_.for_each([](SocketTransport& client) { client.abort(); });
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
