// SPDX-License-Identifier: MIT
//
// The user of one end of a TLS connection, and what it holds: what it is given is the beginning of
// what the other end wrote, and all of it when an end is told; it is told of a connection once,
// last, that it was lost, with an error only if there was a reason; what is not wanted is not read;
// pauses and resumes are paired. What the ends are on, and what goes wrong there, is the target's.
#pragma once

#include <asyncio/stream/protocol.hpp>
#include <asyncio/stream/secure.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/tls/engine.hpp>

#include <cstdint>
#include <optional>
#include <string>

#include "fuzz.hpp"
#include "scripted_user.hpp"

namespace asyncio::fuzz {

class ScriptedTlsUser : public stream::UserProtocol, protected ScriptedUser {
  public:
    static constexpr Duration kHandshakeLimit = std::chrono::seconds(8);
    static constexpr Duration kShutdownLimit = std::chrono::seconds(3);
    static constexpr Duration kAllLimits = kHandshakeLimit + 4 * kShutdownLimit;
    static constexpr std::size_t kMostWritten = 200'000;  // bytes

    void face(ScriptedTlsUser& other) { other_ = &other; }
    /// One call, which may call back.
    void act() override = 0;
    /// Something happened for which a connection may break.
    virtual bool is_to_blame() const { return aborted_ || gave_up_ || thrown_; }

    // --- UserProtocol ---------------------------------------------------------------------------

    void connection_made(Transport& transport) override {
        FUZZ_CHECK(!made_ && !lost_ && &transport == transport_.get() && is_secure());
        made_ = true;
        act_in_callback();
    }
    void data_received(std::span<const std::byte> data) override {
        FUZZ_CHECK(made_ && !lost_ && !eof_ && !closed_ && !aborted_ && !data.empty());
        FUZZ_CHECK(!reading_paused_ && is_secure());
        FUZZ_CHECK(other_->written_.substr(received_, data.size()) == as_text(data));
        received_ += data.size();
        act_in_callback();
    }
    bool eof_received() override {
        FUZZ_CHECK(made_ && !lost_ && !eof_ && !closed_ && !aborted_ && !reading_paused_);
        FUZZ_CHECK(received_ == other_->written_.size() && other_->transport_->is_closing());
        eof_ = true;
        const bool stays_open = input_.chance();
        act_in_callback();
        return stays_open;
    }
    void connection_lost(std::exception_ptr error) override {
        FUZZ_CHECK(made_ && !lost_ && calls_ == 0);
        lost_ = true;
        if (!transport_) return;
        FUZZ_CHECK(transport_->is_closing() && !transport_->ssl_object());
        FUZZ_CHECK(error ? has_reason() : closed_ || aborted_ || gave_up_ || eof_);
        if (input_.chance()) transport_->write("too late"), transport_->abort();
        if (input_.below(8) == 1) raise();
    }
    void pause_writing() override { flow(true); }
    void resume_writing() override { flow(false); }

  protected:
    using ScriptedUser::ScriptedUser;

    bool is_secure() const { return transport_ && transport_->ssl_object() != nullptr; }
    virtual bool has_reason() const { return is_to_blame() || other_->is_to_blame(); }
    void flow(bool paused) {
        FUZZ_CHECK(made_ && !lost_ && paused_ != paused);
        paused_ = paused;
        act_in_callback();
    }

    static stream::SecureOptions options(bool server_side) {
        return {.server_side = server_side,
                .server_hostname = server_side ? "" : "localhost",
                .handshake_timeout = kHandshakeLimit,
                .shutdown_timeout = kShutdownLimit};
    }
    void shake_hands(const Ref<stream::SecureLayer>& layer) {
        ++handshaking_;
        handshake_ = create_task(await_handshake(layer), {.eager_start = true});
    }
    Coro<> await_handshake(Ref<stream::SecureLayer> layer) {
        try {
            co_await stream::handshake(layer);
            FUZZ_CHECK(made_);
        } catch (...) {  // it may be cancelled
            FUZZ_CHECK(has_reason() && layer->transport().is_closing());
        }
        --handshaking_;
    }

    /// What any transport can be asked for, of kinds up to 8.
    void call(std::size_t kind) {
        switch (kind) {
            case 0:
            case 1:
            case 2:
                return write(input_.below(50));
            case 3:
                return write(input_.number(2) % 30'000);
            case 4:
                return close();
            case 5:
                if (input_.below(4) == 1) aborted_ = true, transport_->abort();
                return;
            case 6:
                reading_paused_ = true;
                return transport_->pause_reading();
            case 7:
                return resume();
            case 8: {
                const std::size_t high = input_.number(2) >> input_.below(16);
                return transport_->set_write_buffer_limits(high, high / (1 + input_.below(5)));
            }
            default:
                return;
        }
    }
    void give_up_handshake() {
        if (input_.below(4) != 1 || !handshake_ || handshake_->done()) return;
        gave_up_ = true;
        handshake_->cancel();
    }
    void resume() {
        reading_paused_ = false;
        resumed_in_ = get_running_loop().iteration();
        transport_->resume_reading();
    }
    void close() {
        if (!is_secure()) aborted_ = true;
        closed_ = true;
        transport_->close();
    }
    std::string made_up(std::size_t size) {
        std::string text(size, '\0');
        for (char& c : text) c = static_cast<char>('A' + counter_++ % 53);
        if (!transport_->is_closing()) written_ += text;
        return text;
    }
    void write(std::size_t size) {
        if (written_.size() <= kMostWritten) transport_->write(made_up(size));
    }
    /// Null: its keys cannot be renewed now.
    tls::Engine* renewable() {
        const auto* const engine = static_cast<const tls::Engine*>(transport_->ssl_object());
        const bool is_possible = engine != nullptr && !transport_->is_closing() &&
                                 engine->may_write() && engine->version() == "TLSv1.3";
        return is_possible ? const_cast<tls::Engine*>(engine) : nullptr;
    }

    ScriptedTlsUser* other_ = nullptr;
    Ref<stream::Transport> transport_;  // where this is the protocol above
    std::optional<Task<void>> handshake_;
    std::string written_;
    std::size_t received_ = 0;
    std::size_t counter_ = 0;
    int calls_ = 0;
    int handshaking_ = 0;
    bool made_ = false;
    bool eof_ = false;
    bool closed_ = false;
    bool aborted_ = false;
    bool gave_up_ = false;  // its handshake
    bool paused_ = false;
    bool reading_paused_ = false;
    std::uint32_t resumed_in_ = 0;  // iteration of the loop
    bool lost_ = false;
};

}  // namespace asyncio::fuzz
