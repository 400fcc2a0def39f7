// SPDX-License-Identifier: MIT
//
// How a TlsTransport begins: the handshake, and who hears of its end.
#include <asyncio/tls/tls_layer.hpp>
#include <asyncio/tls/tls_transport.hpp>

#include <exception>
#include <memory>
#include <new>
#include <utility>

namespace asyncio::tls {

void TlsTransport::connected(stream::Transport& below) { start_handshake(below); }

void TlsTransport::upgraded(stream::Transport& below, std::span<const std::byte> received_before) {
    above_connected_ = true;
    start_handshake(below);
    if (!received_before.empty()) received(received_before);
}

void TlsTransport::start_handshake(stream::Transport& below) {
    below_ = Ref<stream::Transport>(&below);
    stage_ = Stage::handshaking;
    arm(handshake_timeout_);
    if (kernel_wanted_) kernel_ = below.kernel_tls();
    if (kernel_ != nullptr && !kernel_->is_supported()) kernel_ = nullptr;
    if (kernel_ != nullptr) engine_->offer_kernel(*kernel_);
    advance();
}

bool TlsTransport::shake_hands() {
    while (!engine_->handshake()) {
        if (!engine_->waits_for_room()) return false;
        const bool had_output = !engine_->output().empty();
        flush();
        if (stage_ != Stage::handshaking) return false;
        if (had_output && kernel_->is_flushed()) continue;
        go_on_with_room();
        return false;
    }
    return true;
}

/// OpenSSL waits until what it has said is with the system, and the system takes more.
void TlsTransport::go_on_with_room() {
    kernel_->when_room([keep = Ref<TlsTransport>(this)] { keep->advance(); });
}

void TlsTransport::opened() {
    timer_.cancel();
    stage_ = Stage::open;
    if (!limits_given_) below_->set_write_buffer_limits(kHighWater - 1, kHighWater / 4);
    held_ = engine_->output().size();
    if (!std::exchange(above_connected_, true)) {
        const Ref<stream::Protocol> above = above_;
        try {
            above->connection_made(*this);
        } catch (...) {
            report("Fatal error: protocol.connection_made() call failed.");
            fail(std::current_exception(), true);
            tell_listener(error_);
            return;
        }
        update_flow();
    }
    if (engine_ && !engine_->server_side()) flush();
    tell_listener(nullptr);
    write_backlog();
    hold_reading();
}

void TlsTransport::set_listener(Owned<stream::HandshakeListener> listener) noexcept {
    listener_ = std::move(listener);
    if (stage_ > Stage::handshaking) tell_listener(handshake_error_);
}

void TlsTransport::tell_listener(std::exception_ptr error) noexcept {
    handshake_error_ = error;
    const auto listener = std::move(listener_);
    if (!listener) return;
    try {
        listener->handshake_over(std::move(error));
    } catch (...) {
        report("the connection could not be handed over after its TLS handshake");
        below_->abort();
    }
}

/// What a server's handshake ends with (tickets; in TLS 1.2 its Finished) waits until those had
/// their turn whom that made ready, and goes with their first answer.
void TlsTransport::release_output() {
    if (held_ == 0 || !engine_) return;
    try {
        loop().call_soon([keep = Ref<TlsTransport>(this)] {
            if (keep->held_ != 0) keep->flush();
        });
    } catch (const std::bad_alloc&) {
        flush();
    }
}

}  // namespace asyncio::tls
