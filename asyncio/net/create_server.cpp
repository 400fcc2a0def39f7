// SPDX-License-Identifier: MIT
#include <asyncio/net/create_server.hpp>

namespace asyncio::net {

namespace {

class ProtocolAcceptor final : public Acceptor {
  public:
    explicit ProtocolAcceptor(std::unique_ptr<stream::ProtocolFactory> factory) noexcept
        : factory_(std::move(factory)) {}
    Ref<stream::Protocol> make_protocol() override { return factory_->make(); }

  private:
    std::unique_ptr<stream::ProtocolFactory> factory_;
};

}  // namespace

Coro<Server> create_server(std::unique_ptr<stream::ProtocolFactory> factory,
                           std::vector<std::string> hosts, std::uint16_t port,
                           ServerOptions options) {
    auto acceptor = std::make_unique<ProtocolAcceptor>(std::move(factory));
    Ref<ServerCore> core = co_await listen(std::move(acceptor), std::move(hosts), port, options);
    co_return Server(std::move(core));
}

Coro<Server> create_unix_server(std::unique_ptr<stream::ProtocolFactory> factory, std::string path,
                                ServerOptions options) {
    auto acceptor = std::make_unique<ProtocolAcceptor>(std::move(factory));
    Ref<ServerCore> core = co_await listen_unix(std::move(acceptor), std::move(path), options);
    co_return Server(std::move(core));
}

}  // namespace asyncio::net
