// SPDX-License-Identifier: MIT
//
// How a TlsTransport ends: in order, by an error, by an abort, by its time limits, with its loop.
#include <asyncio/base/error.hpp>
#include <asyncio/base/log.hpp>
#include <asyncio/base/system_error.hpp>
#include <asyncio/tls/tls_transport.hpp>

#include <cerrno>
#include <exception>
#include <new>
#include <string>
#include <utility>

namespace asyncio::tls {

namespace {

std::string seconds(Duration duration) {
    std::string text = std::to_string(std::chrono::duration<double>(duration).count());
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text += '0';
    return text;
}

std::exception_ptr too_slow(Duration limit) noexcept {
    try {
        return make_system_error(ECONNABORTED, "SSL handshake is taking longer than " +
                                                   seconds(limit) +
                                                   " seconds: aborting the connection");
    } catch (const std::bad_alloc&) {
        return std::current_exception();
    }
}

void log_handshake_failed(const std::exception_ptr& error) noexcept {
    try {
        log(LogLevel::debug, "SSL handshake failed: " + describe(error));
    } catch (const std::bad_alloc&) {  // no memory to say why
        log(LogLevel::debug, "SSL handshake failed");
    }
}

}  // namespace

void TlsTransport::close() {
    if (is_closing()) return;
    if (stage_ != Stage::open) {
        abort();
        return;
    }
    begin_closing();
    try {
        say_goodbye();
    } catch (const std::bad_alloc&) {  // nobody would end what has begun to close
        abort();
    }
}

void TlsTransport::close_if_written() {
    if (writing_ || !backlog_.empty()) return;
    if (std::exchange(close_wanted_, false)) say_goodbye();
}

/// Shut down, once all is encrypted.
void TlsTransport::say_goodbye() {
    const Ref<TlsTransport> keep(this);
    arm(shutdown_timeout_);
    if (writing_ || !backlog_.empty())
        close_wanted_ = true;
    else
        stage_ = Stage::shutting;
    if (!writing_) advance();
    if (stage_ <= Stage::shutting && reading_paused_) below_->resume_reading();
}

void TlsTransport::finish_shutdown() {
    if (engine_->shutdown())
        end(false);
    else if (engine_->waits_for_room())  // without a goodbye what was written would look cut
        go_on_with_room();
    else if (below_ended_)
        end(false);
}

void TlsTransport::abort() {
    if (stage_ >= Stage::ending) return;
    const Ref<TlsTransport> keep(this);
    const bool handshaking = stage_ == Stage::handshaking;
    end(true);
    if (handshaking)
        tell_listener(make_system_error(ECONNABORTED, "TLS handshake: the connection was closed"));
}

/// The connection fails with `error`. An alert for the peer goes out unless it is aborted.
void TlsTransport::fail(std::exception_ptr error, bool abort_below) {
    if (stage_ >= Stage::ending) return;
    const Ref<TlsTransport> keep(this);
    error_ = error;
    const bool handshaking = stage_ == Stage::handshaking;
    end(abort_below);
    if (!handshaking) return;
    tell_listener(error);
    if (loop().get_debug()) log_handshake_failed(error);
}

void TlsTransport::end(bool abort_below) {
    flush();
    stage_ = Stage::ending;
    begin_closing();
    backlog_.clear();
    if (abort_below) {
        timer_.cancel();
        below_->abort();
        return;
    }
    try {
        arm(shutdown_timeout_);
    } catch (const std::bad_alloc&) {  // a goodbye without a time limit could last for ever
        below_->abort();
        return;
    }
    below_->close();
}

void TlsTransport::arm(Duration delay) {
    timer_.cancel();
    if (loop().is_closed()) return;  // a task that it drops had the connection: nothing will come
    timer_ = loop().call_later(delay, [this] { expired(); });
}

void TlsTransport::expired() {
    const Ref<TlsTransport> keep(this);
    if (stage_ == Stage::handshaking)
        fail(too_slow(handshake_timeout_), true);
    else if (stage_ <= Stage::shutting)
        fail(make_system_error(ETIMEDOUT, "SSL shutdown timed out"), true);
    else
        below_->abort();
}

void TlsTransport::lost(std::exception_ptr error) {
    const Ref<TlsTransport> keep(this);
    timer_.cancel();
    const Stage was = std::exchange(stage_, Stage::lost);
    begin_closing();
    if (was == Stage::handshaking)
        error_ =
            error ? error : make_system_error(ECONNRESET, "TLS handshake: the connection was lost");
    else if (!error_)
        error_ = std::move(error);
    if (was == Stage::handshaking) tell_listener(error_);
    engine_.reset();
    const Ref<stream::Protocol> above = std::move(above_);
    if (!above_connected_) return;
    try {
        above->connection_lost(error_);
    } catch (...) {
        report("protocol.connection_lost() failed");
    }
}

void TlsTransport::detached() noexcept {
    const Ref<TlsTransport> keep(this);
    stage_ = Stage::lost;
    begin_closing();
    timer_.cancel();
    listener_.reset();
    engine_.reset();
    above_ = Ref<stream::Protocol>();
}

}  // namespace asyncio::tls
