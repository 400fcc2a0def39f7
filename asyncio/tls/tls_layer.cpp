// SPDX-License-Identifier: MIT
#include <asyncio/tls/context.hpp>
#include <asyncio/tls/tls_layer.hpp>
#include <asyncio/tls/tls_transport.hpp>

#include <utility>

namespace asyncio::tls {

namespace {

/// The lower half: tells the transport above what happens below. If the transport below drops it
/// without connection_lost, the loop has closed.
class TlsLayer final : public stream::SecureLayer {
  public:
    explicit TlsLayer(Ref<TlsTransport> transport) noexcept : transport_(std::move(transport)) {}

    stream::Transport& transport() const noexcept override { return *transport_; }
    void set_listener(Owned<stream::HandshakeListener> listener) noexcept override {
        transport_->set_listener(std::move(listener));
    }
    void upgrade(stream::Transport& below, std::span<const std::byte> received) override {
        below.set_protocol(Ref<stream::Protocol>(this));
        transport_->upgraded(below, received);
    }

    void connection_made(stream::Transport& below) override { transport_->connected(below); }
    void data_received(std::span<const std::byte> data) override { transport_->received(data); }
    bool eof_received() override { return transport_->ended(); }
    void connection_lost(std::exception_ptr error) override {
        lost_ = true;
        transport_->lost(std::move(error));
    }
    void pause_writing() override { transport_->below_paused(true); }
    void resume_writing() override { transport_->below_paused(false); }
    void close_connection(stream::Transport&) override { transport_->close(); }
    void destroy() noexcept override { delete this; }

  private:
    ~TlsLayer() {
        if (!lost_) transport_->detached();
    }

    Ref<TlsTransport> transport_;
    bool lost_ = false;
};

}  // namespace

Ref<stream::SecureLayer> make_layer(const ssl::SSLContext& context, Ref<stream::Protocol> above,
                                    const stream::SecureOptions& options) {
    Ref<TlsTransport> transport(new TlsTransport(context, std::move(above), options));
    return Ref<stream::SecureLayer>(new TlsLayer(std::move(transport)));
}

}  // namespace asyncio::tls
