// SPDX-License-Identifier: MIT
#include <asyncio/loop/report_error.hpp>
#include <asyncio/net/secure_acceptor.hpp>
#include <asyncio/stream/secure.hpp>

#include <memory>
#include <utility>

namespace asyncio::net {

namespace {

/// One handshake in progress; belongs to its layer.
class Handshake final : public stream::HandshakeListener {
  public:
    Handshake(Ref<ServerCore> server, Acceptor& acceptor, stream::SecureLayer& layer,
              Ref<stream::Protocol> protocol) noexcept
        : server_(std::move(server)),
          acceptor_(acceptor),
          transport_(layer.transport()),
          protocol_(std::move(protocol)) {}

    void handshake_over(std::exception_ptr error) noexcept override {
        if (error) return;
        try {
            acceptor_.connected(*server_, transport_, *protocol_);
        } catch (...) {
            transport_.abort();
            loop::report_error(server_->loop(),
                               "Error on transport creation for incoming connection",
                               std::current_exception());
        }
    }

  private:
    Ref<ServerCore> server_;  // which owns the acceptor
    Acceptor& acceptor_;
    stream::Transport& transport_;
    Ref<stream::Protocol> protocol_;
};

class SecureAcceptor final : public Acceptor {
  public:
    SecureAcceptor(std::unique_ptr<Acceptor> acceptor, stream::Security security) noexcept
        : acceptor_(std::move(acceptor)), security_(std::move(security)) {}

    Ref<stream::Protocol> make_protocol() override {
        return security_.wrap(acceptor_->make_protocol());
    }
    void connected(ServerCore& server, stream::Transport&, stream::Protocol& protocol) override {
        auto& layer = static_cast<stream::SecureLayer&>(protocol);
        layer.set_listener(
            make_owned<Handshake>(Ref<ServerCore>(&server), *acceptor_, layer,
                                  Ref<stream::Protocol>(layer.transport().get_protocol())));
    }

  private:
    std::unique_ptr<Acceptor> acceptor_;
    stream::Security security_;
};

}  // namespace

std::unique_ptr<Acceptor> secured(std::unique_ptr<Acceptor> acceptor,
                                  const ServerOptions& options) {
    stream::Security security =
        stream::server_security({.ssl = options.ssl,
                                 .handshake_timeout = options.ssl_handshake_timeout,
                                 .shutdown_timeout = options.ssl_shutdown_timeout});
    if (!security) return acceptor;
    return std::make_unique<SecureAcceptor>(std::move(acceptor), std::move(security));
}

}  // namespace asyncio::net
