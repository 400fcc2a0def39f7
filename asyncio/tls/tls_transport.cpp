// SPDX-License-Identifier: MIT
//
// What goes through a TlsTransport while it is open. How it begins stands in tls_handshake.cpp, how
// it ends in tls_shutdown.cpp.
#include <asyncio/base/log.hpp>
#include <asyncio/base/system_error.hpp>
#include <asyncio/loop/report_error.hpp>
#include <asyncio/tls/context.hpp>
#include <asyncio/tls/error.hpp>
#include <asyncio/tls/tls_transport.hpp>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <new>
#include <stdexcept>
#include <utility>

namespace asyncio::tls {

namespace {

constexpr std::size_t kPiece = 65536;  // encrypted before it is handed down
constexpr int kLostWritesToReport = 5;
constexpr std::size_t kMostAnswers = 65536;  // that wait for a peer who takes nothing

}  // namespace

TlsTransport::TlsTransport(const ssl::SSLContext& context, Ref<stream::Protocol> above,
                           const stream::SecureOptions& options)
    : above_(std::move(above)),
      handshake_timeout_(options.handshake_timeout),
      shutdown_timeout_(options.shutdown_timeout),
      kernel_wanted_(context.enable_ktls) {
    engine_.emplace(context, options.server_side, options.server_hostname);
}

// --- reading -----------------------------------------------------------------------------------

void TlsTransport::received(std::span<const std::byte> ciphertext) {
    if (stage_ >= Stage::ending) return;
    const Ref<TlsTransport> keep(this);
    {
        const Engine::Input lend(*engine_, ciphertext);
        advance();
    }
    if (engine_->lost_input()) fail(std::make_exception_ptr(std::bad_alloc()), true);
    // Somebody else has resumed it (the end of a file that was sent): no more than this is kept.
    hold_reading();
}

bool TlsTransport::ended() {
    const Ref<TlsTransport> keep(this);
    switch (stage_) {
        case Stage::handshaking:
            if (engine_->waits_for_room()) {  // what the peer said last may be in the engine
                engine_->end_input();
                break;
            }
            fail(make_system_error(ECONNRESET, "TLS handshake: the peer closed the connection"),
                 false);
            break;
        case Stage::open:
            engine_->end_input();
            advance();
            break;
        case Stage::shutting:
            below_ended_ = true;
            if (!engine_->waits_for_room()) end(false);  // else the peer may read on
            break;
        default:
            break;
    }
    return below_->can_write_eof();
}

/// Go as far as the input allows.
void TlsTransport::advance() {
    if (advancing_) return;
    const Ref<TlsTransport> keep(this);
    const bool opens = stage_ == Stage::handshaking;
    advancing_ = true;
    try {
        if (stage_ == Stage::handshaking && shake_hands()) opened();
        if (stage_ == Stage::open) deliver();
        if (stage_ == Stage::open && !writing_) write_backlog();
        if (stage_ == Stage::shutting) finish_shutdown();
    } catch (const std::bad_alloc&) {  // nor is there any to say goodbye with
        fail(std::current_exception(), true);
    } catch (...) {
        fail(std::current_exception(), false);
    }
    advancing_ = false;
    if (engine_ && engine_->output().size() > held_) flush();
    if (opens) release_output();
}

/// Hand decrypted data up. Throws what the engine fails with.
void TlsTransport::deliver() {
    if (reading_paused_ && waits_for_peer()) {
        engine_->take_messages();
        check_answers();
    }
    std::byte memory[Engine::kRecord];
    while (stage_ == Stage::open && (!reading_paused_ || close_wanted_)) {
        const std::size_t count = engine_->read(memory);
        if (count > 0 && !close_wanted_) hand_up(std::span(memory, count));
        check_answers();  // may call the protocol, which closes or pauses
        if (count > 0 || stage_ != Stage::open) continue;
        if (engine_->peer_closed() && (!reading_paused_ || close_wanted_)) peer_closed();
        return;
    }
}

void TlsTransport::hand_up(std::span<const std::byte> data) {
    const Ref<stream::Protocol> above = above_;
    try {
        above->data_received(data);
    } catch (...) {
        report("Fatal error: protocol.data_received() call failed.");
        fail(std::current_exception(), true);
    }
}

/// The engine answers some messages (KeyUpdate). A peer that takes no answers gets no more of them.
void TlsTransport::check_answers() {
    if (engine_->output().size() <= held_) return;
    answers_ += engine_->output().size() - held_;
    flush();
    update_flow();
    if (below_paused_ && answers_ > kMostAnswers) throw_flood_error("TLS read");
}

/// The peer has said that it sends no more. TLS knows half-closed connections; asyncio does not.
void TlsTransport::peer_closed() {
    if (std::exchange(close_wanted_, false)) return say_goodbye();
    const Ref<stream::Protocol> above = above_;
    bool keep_open = false;
    try {
        keep_open = above->eof_received();
    } catch (...) {
        report("Fatal error: protocol.eof_received() call failed.");
        fail(std::current_exception(), true);
        return;
    }
    if (keep_open)
        log(LogLevel::warning, "returning true from eof_received() has no effect when using ssl");
    close();
}

void TlsTransport::pause_reading() {
    if (!std::exchange(reading_paused_, true)) hold_reading();
}

/// What is written waits for the rest of a message of the peer's. It is read also while reading is
/// paused: who paused it until he may write would wait for himself.
bool TlsTransport::waits_for_peer() const noexcept {
    return stage_ == Stage::open && !backlog_.empty() && !engine_->may_write();
}

/// Have no more read below than is wanted.
void TlsTransport::hold_reading() {
    if (stage_ != Stage::open || !reading_paused_ || close_wanted_ || waits_for_peer()) return;
    below_->pause_reading();
}

void TlsTransport::read_for_backlog() {
    if (!reading_paused_ || !waits_for_peer()) return;
    advance();  // it may be here already
    if (waits_for_peer()) below_->resume_reading();
}

void TlsTransport::resume_reading() {
    if (!std::exchange(reading_paused_, false)) return;
    if (stage_ != Stage::open) return;
    const Ref<TlsTransport> keep(this);
    advance();
    if (stage_ == Stage::open && !reading_paused_) below_->resume_reading();
}

// --- writing -----------------------------------------------------------------------------------

bool TlsTransport::accepts_writes() {
    if (!is_closing()) return true;
    if (++lost_writes_ >= kLostWritesToReport)
        log(LogLevel::warning, "write() on a connection that is closed");
    return false;
}

/// The kernel encrypts, and nothing waits here that has to go first.
bool TlsTransport::goes_below() const noexcept {
    return stage_ == Stage::open && engine_->ktls_send() && backlog_.empty() && !writing_;
}

stream::Transport* TlsTransport::sending_transport() noexcept {
    return goes_below() ? below_->sending_transport() : nullptr;
}

void TlsTransport::writelines(std::span<const std::span<const std::byte>> lines) {
    if (!goes_below()) return Transport::writelines(lines);
    if (accepts_writes()) below_->writelines(lines);
}

void TlsTransport::write(std::span<const std::byte> data) {
    if (data.empty() || !accepts_writes()) return;
    if (goes_below()) return below_->write(data);
    const Ref<TlsTransport> keep(this);
    if (stage_ != Stage::open || writing_ || !backlog_.empty()) {
        backlog_.append(data);
        update_flow();
    } else {
        encrypt(data);
        write_backlog();
    }
    read_for_backlog();
}

/// What cannot be encrypted now goes to the front of the backlog.
void TlsTransport::encrypt(std::span<const std::byte> data) {
    writing_ = true;
    try {
        while (!data.empty() && stage_ == Stage::open && engine_->may_write()) {
            const std::size_t size = std::min(data.size(), kPiece);
            if (engine_->ktls_send())
                below_->write(data.first(size));
            else
                engine_->write(data.first(size));
            data = data.subspan(size);
            flush();
        }
    } catch (...) {
        fail(std::current_exception(), false);
    }
    writing_ = false;
    if (data.empty() || stage_ != Stage::open) return;
    backlog_.prepend(data);
}

void TlsTransport::write_backlog() {
    while (!backlog_.empty() && stage_ == Stage::open && engine_->may_write()) {
        stream::Buffer waiting = std::exchange(backlog_, stream::Buffer());
        encrypt(waiting.bytes());
        waiting.clear();
    }
    if (!writing_) update_flow();
    close_if_written();
}

/// What the engine wants sent. Within the write below, more may be encrypted: take it out first.
void TlsTransport::flush() {
    held_ = 0;
    while (engine_ && !engine_->output().empty()) {
        stream::Buffer out = std::exchange(engine_->output(), stream::Buffer());
        try {
            below_->write(out.bytes());
        } catch (const std::bad_alloc&) {  // what is encrypted cannot be encrypted again
            fail(std::current_exception(), true);
            below_->abort();
            return;
        }
        out.clear();
        if (engine_ && engine_->output().empty()) engine_->output() = std::move(out);
    }
}

void TlsTransport::below_paused(bool paused) {
    below_paused_ = paused;
    if (!paused) answers_ = 0;
    update_flow();
}

/// The protocol above is paused while the transport below is, and while too much waits here.
void TlsTransport::update_flow() {
    if (!above_connected_ || !above_) return;
    const bool pause = below_paused_ || (!backlog_.empty() &&
                                         get_write_buffer_size() > get_write_buffer_limits().high);
    if (std::exchange(above_paused_, pause) == pause) return;
    const Ref<TlsTransport> keep(this);
    const Ref<stream::Protocol> above = above_;
    try {
        if (pause)
            above->pause_writing();
        else
            above->resume_writing();
    } catch (...) {
        report(pause ? "protocol.pause_writing() failed" : "protocol.resume_writing() failed");
    }
}

void TlsTransport::write_eof() {
    throw std::logic_error("write_eof() is not supported on a TLS connection");
}

std::size_t TlsTransport::get_write_buffer_size() const noexcept {
    return below_->get_write_buffer_size() + backlog_.size();
}

stream::WriteBufferLimits TlsTransport::get_write_buffer_limits() const noexcept {
    return below_->get_write_buffer_limits();
}

void TlsTransport::apply_write_buffer_limits(stream::WriteBufferLimits limits) {
    limits_given_ = true;
    below_->set_write_buffer_limits(limits.high, limits.low);
    update_flow();
}

void TlsTransport::set_protocol(Ref<stream::Protocol> protocol) {
    if (stage_ == Stage::lost) return;
    const Ref<stream::Protocol> before = std::exchange(above_, std::move(protocol));
    before->replaced();
}

const ssl::SSLObject* TlsTransport::ssl_object() const noexcept {
    return engine_ && engine_->handshake_complete() ? &*engine_ : nullptr;
}

/// Inside a catch: what the protocol threw goes to the loop's exception handler.
void TlsTransport::report(const char* what) noexcept {
    loop::report_error(loop(), what, std::current_exception(),
                       [](ExceptionContext& context) { context.transport = "TLS connection"; });
}

}  // namespace asyncio::tls
