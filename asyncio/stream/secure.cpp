// SPDX-License-Identifier: MIT
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/stream/secure.hpp>
#include <asyncio/task/future.hpp>

#include <stdexcept>

namespace asyncio::stream {

namespace {

void refuse_without_context(const SecureArguments& arguments) {
    const char* name = arguments.server_hostname     ? "server_hostname"
                       : arguments.handshake_timeout ? "ssl_handshake_timeout"
                       : arguments.shutdown_timeout  ? "ssl_shutdown_timeout"
                                                     : nullptr;
    if (name != nullptr)
        throw std::invalid_argument(std::string(name) + " is only meaningful with ssl");
}

Duration positive(Option<Duration> given, Duration otherwise, const char* name) {
    if (given && *given <= Duration::zero())
        throw std::invalid_argument(std::string(name) + " should be a positive number, got " +
                                    std::to_string(given->count()) + " ns");
    return given.value_or(otherwise);
}

Security security(const SecureArguments& arguments) {
    if (arguments.ssl == nullptr) {
        refuse_without_context(arguments);
        return {};
    }
    Security result;
    result.options.handshake_timeout =
        positive(arguments.handshake_timeout, kHandshakeTimeout, "ssl_handshake_timeout");
    result.options.shutdown_timeout =
        positive(arguments.shutdown_timeout, kShutdownTimeout, "ssl_shutdown_timeout");
    result.context = arguments.ssl->share();
    return result;
}

/// Passes the end of a handshake on to a future, which may be cancelled meanwhile.
class WakeFuture final : public HandshakeListener {
  public:
    explicit WakeFuture(Future<void> future) : future_(std::move(future)) {}
    void handshake_over(std::exception_ptr error) noexcept override {
        if (future_.done()) return;
        if (error)
            future_.set_exception(std::move(error));
        else
            future_.set_result();
    }

  private:
    Future<void> future_;
};

}  // namespace

SecureArguments arguments_of(const SecureContext& context, const StartTlsOptions& options) {
    return {.ssl = &context,
            .server_hostname = options.server_hostname,
            .handshake_timeout = options.ssl_handshake_timeout,
            .shutdown_timeout = options.ssl_shutdown_timeout};
}

Security client_security(const SecureArguments& arguments, Option<std::string_view> host) {
    Security result = security(arguments);
    if (!result) return result;
    if (!arguments.server_hostname && !host)
        throw std::invalid_argument("You must set server_hostname when using ssl without a host");
    result.options.server_hostname =
        std::string(arguments.server_hostname ? *arguments.server_hostname : *host);
    return result;
}

Security server_security(const SecureArguments& arguments) {
    Security result = security(arguments);
    result.options.server_side = true;
    return result;
}

Coro<> handshake(Ref<SecureLayer> layer) {
    struct Abort {
        ~Abort() {
            if (!over) transport.abort();
        }
        Transport& transport;
        bool over = false;
    } unless{layer->transport()};
    Future<void> over = get_running_loop().create_future<void>();
    layer->set_listener(make_owned<WakeFuture>(over));
    co_await over;
    unless.over = true;
}

}  // namespace asyncio::stream

namespace asyncio {

namespace {

Coro<Ref<stream::Transport>> upgrade(Ref<stream::Transport> transport,
                                     Ref<stream::Protocol> protocol, stream::Security security) {
    // Both stay alive: the transport lets its old protocol go while that may be on the stack.
    const Ref<stream::Protocol> old(transport->get_protocol());
    const Ref<stream::SecureLayer> layer = security.wrap(std::move(protocol));
    layer->upgrade(*transport, {});
    transport->resume_reading();
    co_await stream::handshake(layer);
    co_return Ref<stream::Transport>(&layer->transport());
}

}  // namespace

ASYNCIO_CORO_WRAPPER
Coro<Ref<stream::Transport>> EventLoop::start_tls(stream::Transport& transport,
                                                  stream::Protocol& protocol,
                                                  const stream::SecureContext& context,
                                                  StartTlsOptions options) {
    if (transport.is_closing() || transport.get_protocol() == nullptr)
        throw std::invalid_argument("start_tls: this transport is closing");
    const stream::SecureArguments arguments = stream::arguments_of(context, options);
    return upgrade(Ref<stream::Transport>(&transport), Ref<stream::Protocol>(&protocol),
                   options.server_side.value_or(false) ? stream::server_security(arguments)
                                                       : stream::client_security(arguments, ""));
}

}  // namespace asyncio
