// SPDX-License-Identifier: MIT
#include <asyncio/net/create_server.hpp>
#include <asyncio/net/listen.hpp>
#include <asyncio/net/secure_acceptor.hpp>

#include <memory>

namespace asyncio::net {

namespace {

class ProtocolAcceptor final : public Acceptor {
  public:
    explicit ProtocolAcceptor(Owned<stream::ProtocolFactory> factory) noexcept
        : factory_(std::move(factory)) {}
    Ref<stream::Protocol> make_protocol() override { return factory_->make(); }

  private:
    Owned<stream::ProtocolFactory> factory_;
};

}  // namespace

ASYNCIO_CORO_WRAPPER
Coro<Server> create_server(Owned<stream::ProtocolFactory> factory, std::string_view host, Port port,
                           ServerOptions options) {
    auto acceptor = std::make_unique<ProtocolAcceptor>(std::move(factory));
    return listen_on(secured(std::move(acceptor), options), std::vector(1, std::string(host)), port,
                     options);
}

ASYNCIO_CORO_WRAPPER
Coro<Server> create_server(Owned<stream::ProtocolFactory> factory, ServerOptions options) {
    auto acceptor = std::make_unique<ProtocolAcceptor>(std::move(factory));
    return listen_on(secured(std::move(acceptor), options), {}, 0, options);
}

ASYNCIO_CORO_WRAPPER
Coro<Server> create_unix_server(Owned<stream::ProtocolFactory> factory, std::string_view path,
                                ServerOptions options) {
    auto acceptor = std::make_unique<ProtocolAcceptor>(std::move(factory));
    return listen_on_path(secured(std::move(acceptor), options), std::string(path), options);
}

}  // namespace asyncio::net
