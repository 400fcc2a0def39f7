// SPDX-License-Identifier: MIT
//
// TlsTransport: the upper half of a TLS layer. Its states and rules stand in tls_layer.hpp; how it
// begins is in tls_handshake.cpp, how it ends in tls_shutdown.cpp.
#pragma once

#include <asyncio/loop/event_loop.hpp>
#include <asyncio/stream/buffer.hpp>
#include <asyncio/stream/secure.hpp>
#include <asyncio/tls/engine.hpp>

#include <cstdint>
#include <memory>
#include <optional>

namespace asyncio::tls {

class TlsTransport final : public stream::Transport {
  public:
    TlsTransport(const ssl::SSLContext& context, Ref<stream::Protocol> above,
                 const stream::SecureOptions& options);

    // --- for the layer: what happens below -------------------------------------------------

    void connected(stream::Transport& below);
    void upgraded(stream::Transport& below, std::span<const std::byte> received);
    void received(std::span<const std::byte> ciphertext);
    /// False if the transport below closes itself then; otherwise this one closes it.
    bool ended();
    void lost(std::exception_ptr error);
    void below_paused(bool paused);
    /// The loop has closed: nothing comes any more.
    void detached() noexcept;
    void set_listener(Owned<stream::HandshakeListener> listener) noexcept;

    // --- Transport -------------------------------------------------------------------------

    void write(std::span<const std::byte> data) override;
    void writelines(std::span<const std::span<const std::byte>> lines) override;
    void write_eof() override;
    bool can_write_eof() const noexcept override { return false; }
    void close() override;
    void abort() override;
    void pause_reading() override;
    void resume_reading() override;
    bool is_reading() const noexcept override { return stage_ == Stage::open && !reading_paused_; }
    std::size_t get_write_buffer_size() const noexcept override;
    stream::WriteBufferLimits get_write_buffer_limits() const noexcept override;
    void set_protocol(Ref<stream::Protocol> protocol) override;
    stream::Protocol* get_protocol() const noexcept override { return above_.get(); }
    EventLoop& loop() const noexcept override { return below_->loop(); }
    const SocketAddress& peername() const override { return below_->peername(); }
    const SocketAddress& sockname() const override { return below_->sockname(); }
    int fileno() const noexcept override { return below_->fileno(); }
    const ssl::SSLObject* ssl_object() const noexcept override;
    stream::Transport* sending_transport() noexcept override;
    void destroy() noexcept override { delete this; }

  private:
    enum class Stage : std::uint8_t { created, handshaking, open, shutting, ending, lost };

    ~TlsTransport() = default;
    void apply_write_buffer_limits(stream::WriteBufferLimits limits) override;
    void start_handshake(stream::Transport& below);
    bool shake_hands();
    void go_on_with_room();
    void finish_shutdown();
    bool goes_below() const noexcept;
    bool accepts_writes();
    void advance();
    void opened();
    void deliver();
    bool waits_for_peer() const noexcept;
    void hold_reading();
    void read_for_backlog();
    void hand_up(std::span<const std::byte> data);
    void peer_closed();
    void check_answers();
    void encrypt(std::span<const std::byte> data);
    void write_backlog();
    void close_if_written();
    void say_goodbye();
    void release_output();
    void update_flow();
    void flush();
    void fail(std::exception_ptr error, bool abort_below);
    void end(bool abort_below);
    void tell_listener(std::exception_ptr error) noexcept;
    void arm(Duration delay);
    void expired();
    void report(const char* what) noexcept;

    Ref<stream::Transport> below_;  // kept for its addresses when lost
    Ref<stream::Protocol> above_;
    stream::KernelTls* kernel_ = nullptr;  // of below_, if it may be used
    std::optional<Engine> engine_;         // until lost
    Owned<stream::HandshakeListener> listener_;
    std::exception_ptr error_;            // what the connection is lost with
    std::exception_ptr handshake_error_;  // for a listener that comes late
    stream::Buffer backlog_;              // plaintext that waits for its turn
    TimerHandle timer_;
    Duration handshake_timeout_;
    Duration shutdown_timeout_;
    std::size_t answers_ = 0;  // bytes that the peer provoked while it takes none
    std::size_t held_ = 0;     // of the engine's output: bytes that may wait for company
    int lost_writes_ = 0;
    Stage stage_ = Stage::created;
    bool above_connected_ = false;
    bool below_paused_ = false;
    bool below_ended_ = false;  // while shutting
    bool above_paused_ = false;
    bool reading_paused_ = false;
    bool limits_given_ = false;
    bool kernel_wanted_;
    bool advancing_ = false;
    bool writing_ = false;
    bool close_wanted_ = false;  // when all is encrypted
};

}  // namespace asyncio::tls
