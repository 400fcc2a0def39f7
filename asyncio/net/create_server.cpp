// SPDX-License-Identifier: MIT
#include <asyncio/net/create_server.hpp>
#include <asyncio/net/secure_acceptor.hpp>

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
Coro<Server> create_server(Owned<stream::ProtocolFactory> factory,
                           std::vector<std::string> hosts, Port port, ServerOptions options) {
    auto acceptor = std::make_unique<ProtocolAcceptor>(std::move(factory));
    return listen_on(secured(std::move(acceptor), options), std::move(hosts), port, options);
}

ASYNCIO_CORO_WRAPPER
Coro<Server> create_unix_server(Owned<stream::ProtocolFactory> factory, std::string path,
                                ServerOptions options) {
    auto acceptor = std::make_unique<ProtocolAcceptor>(std::move(factory));
    return listen_on_path(secured(std::move(acceptor), options), std::move(path), options);
}

}  // namespace asyncio::net
