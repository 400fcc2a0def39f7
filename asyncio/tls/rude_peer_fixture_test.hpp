// SPDX-License-Identifier: MIT
//
// A peer that does what OpenSSL's own side would not: OpenSSL driven by hand.
#pragma once

#include <asyncio/stream/protocol.hpp>
#include <asyncio/tls/context_state.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <string>
#include <string_view>
#include <utility>

#include <openssl/bio.h>
#include <openssl/ssl.h>

namespace asyncio::tls_tests {

/// A server on memory BIOs. Its context begins as one of ours, which may be spoilt.
class RudeServer {
  public:
    explicit RudeServer(const SSLContext& context) : context_(context) {
        SSL_CTX* native = context_.state()->native;
        SSL_CTX_set_tlsext_servername_callback(native, nullptr);
        SSL_CTX_sess_set_new_cb(native, nullptr);
        ssl_ = SSL_new(native);
        SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_accept_state(ssl_);
    }
    RudeServer(const RudeServer&) = delete;
    RudeServer& operator=(const RudeServer&) = delete;
    ~RudeServer() { SSL_free(ssl_); }

    SSL* ssl() const noexcept { return ssl_; }
    /// Takes what a client sent; what the server sends then.
    std::string talk(std::string_view from_client) {
        if (!from_client.empty())
            BIO_write(SSL_get_rbio(ssl_), from_client.data(), static_cast<int>(from_client.size()));
        char text[4096];
        for (int n = SSL_read(ssl_, text, sizeof text); n > 0;
             n = SSL_read(ssl_, text, sizeof text))
            received.append(text, static_cast<std::size_t>(n));
        return output();
    }
    void write(std::string_view text) {
        SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
    }
    /// A HelloRequest, which TLS 1.2 clients that do not renegotiate answer with a warning.
    void ask_for_a_new_handshake() {
        SSL_renegotiate(ssl_);
        SSL_do_handshake(ssl_);
        SSL_clear_options(ssl_, SSL_OP_NO_RENEGOTIATION);
    }
    std::string output() {
        std::string out(BIO_ctrl_pending(SSL_get_wbio(ssl_)), '\0');
        if (!out.empty()) BIO_read(SSL_get_wbio(ssl_), out.data(), static_cast<int>(out.size()));
        return out;
    }

    std::string received;

  private:
    SSLContext context_;
    SSL* ssl_;
};

/// Such a server on one end of a wire. What it sends is its user's to pass on.
class RudeEnd final : public stream::Protocol {
  public:
    RudeEnd(RudeServer& server, Ref<MemoryTransport> wire)
        : server_(server), wire_(std::move(wire)) {}
    void connection_made(stream::Transport&) override {}
    void data_received(std::span<const std::byte> data) override {
        const std::string out = server_.talk(as_text(data));
        if (holds_back)
            held_back += out;
        else
            send(out);
    }
    bool eof_received() override { return false; }
    void connection_lost(std::exception_ptr) override { lost = true; }
    void pause_writing() override {}
    void resume_writing() override {}
    void destroy() noexcept override { delete this; }
    void send(std::string_view bytes) { wire_->write(bytes_of(bytes)); }

    bool holds_back = false;
    std::string held_back;
    bool lost = false;

  private:
    ~RudeEnd() = default;
    RudeServer& server_;
    Ref<MemoryTransport> wire_;
};

}  // namespace asyncio::tls_tests
