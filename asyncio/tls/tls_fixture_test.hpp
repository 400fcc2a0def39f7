// SPDX-License-Identifier: MIT
//
// What the tests of TLS share: contexts of a test authority, and a wire in memory that can be cut,
// reset, corrupted and stopped at any byte.
#pragma once

#include <asyncio/stream/stream_fixture_test.hpp>
#include <asyncio/tls/certificates_test.hpp>
#include <asyncio/tls/context.hpp>
#include <asyncio/tls/engine.hpp>
#include <asyncio/tls/kernel_tls_fixture_test.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace asyncio::tls_tests {

using namespace stream_tests;
using ssl::SSLContext;

inline const Authority& authority() {
    static const Authority instance;
    return instance;
}

inline SSLContext client_context() {
    const std::string trusted = authority().certificate();
    return ssl::create_default_context(ssl::Purpose::SERVER_AUTH, {.cadata = trusted});
}

inline SSLContext server_context(const CertificateRequest& request = CertificateRequest()) {
    SSLContext context = ssl::create_default_context(ssl::Purpose::CLIENT_AUTH);
    const Credentials own = authority().issue(request);
    context.load_cert_chain_data(own.certificate, own.key);
    return context;
}

/// It lets the kernel encrypt.
inline SSLContext offered(SSLContext context) {
    context.enable_ktls = true;
    return context;
}

/// What happens to the bytes of one direction.
struct Attack {
    enum class Kind : std::uint8_t { none, cut, reset, corrupt, silence };
    Kind kind = Kind::none;
    std::size_t at = 0;  // after so many bytes
};

/// One end of a wire in memory. Bytes arrive through the loop, at most `piece` at a time.
class MemoryTransport final : public stream::Transport, private RecordCarrier {
  public:
    static std::pair<Ref<MemoryTransport>, Ref<MemoryTransport>> make_pair() {
        std::pair<Ref<MemoryTransport>, Ref<MemoryTransport>> ends{
            Ref<MemoryTransport>(new MemoryTransport()),
            Ref<MemoryTransport>(new MemoryTransport())};
        ends.first->peer_ = ends.second;
        ends.second->peer_ = ends.first;
        return ends;
    }
    void start(Ref<stream::Protocol> protocol) {
        protocol_ = std::move(protocol);
        protocol_->connection_made(*this);
    }

    void write(std::span<const std::byte> data) override {
        if (is_closing() || data.empty()) return;
        ++writes;
        const std::string_view bytes(reinterpret_cast<const char*>(data.data()), data.size());
        if (kernel && kernel->maker)
            carry(kernel->maker->seal(23, bytes));
        else
            carry(bytes);
    }
    void write_eof() override { throw std::logic_error("not used"); }
    void close() override {
        if (is_closing()) return;
        begin_closing();
        reading_ = false;
        if (stuck_.empty()) lose_soon(nullptr);
    }
    void abort() override {
        begin_closing();
        stuck_.clear();
        lose_soon(nullptr);
    }
    void pause_reading() override { reading_ = false; }
    void resume_reading() override {
        if (is_closing()) return;
        reading_ = true;
        pump_soon();
    }
    bool is_reading() const noexcept override { return reading_; }
    std::size_t get_write_buffer_size() const noexcept override { return stuck_.size(); }
    stream::WriteBufferLimits get_write_buffer_limits() const noexcept override { return limits_; }
    void set_protocol(Ref<stream::Protocol> protocol) override { protocol_ = std::move(protocol); }
    stream::Protocol* get_protocol() const noexcept override { return protocol_.get(); }
    EventLoop& loop() const noexcept override { return loop_; }
    const SocketAddress& peername() const override {
        return reinterpret_cast<const SocketAddress&>(name_);
    }
    const SocketAddress& sockname() const override {
        return reinterpret_cast<const SocketAddress&>(name_);
    }
    int fileno() const noexcept override { return -1; }
    stream::Transport* sending_transport() noexcept override { return this; }
    stream::KernelTls* kernel_tls() override { return kernel ? &*kernel : nullptr; }
    void destroy() noexcept override { delete this; }

    /// This end's system can encrypt.
    void add_kernel_tls() { kernel.emplace(static_cast<RecordCarrier&>(*this)); }

    /// The system takes again what is written.
    void unstick() {
        stuck = false;
        send_stuck();
        update_flow();
        if (kernel) kernel->look();
        if (is_closing()) lose_soon(nullptr);
    }

    /// The peer's end of sending comes now, behind what it has sent.
    void hear_end() { arrive("", true); }

    Attack attack;  // on what this end sends
    std::size_t sent = 0;
    int writes = 0;
    std::size_t piece = 1 << 20;
    bool stuck = false;  // what is written stays here
    std::optional<FakeKernelTls> kernel;

  private:
    MemoryTransport() = default;
    ~MemoryTransport() = default;

    bool holds_bytes() const noexcept override { return !stuck_.empty() || is_closing(); }
    void carry(std::string_view bytes) override {
        stuck_ += bytes;
        if (!stuck) send_stuck();
        update_flow();
    }

    void apply_write_buffer_limits(stream::WriteBufferLimits limits) override {
        limits_ = limits;
        update_flow();
    }
    void update_flow() {
        const bool pause = paused_ ? stuck_.size() > limits_.low : stuck_.size() > limits_.high;
        if (pause == paused_ || !protocol_) return;
        paused_ = pause;
        if (pause)
            protocol_->pause_writing();
        else
            protocol_->resume_writing();
    }
    void send_stuck() {
        std::string data = std::exchange(stuck_, std::string());
        const std::size_t begin = std::exchange(sent, sent + data.size());
        if (!peer_ || data.empty()) return;
        const bool hit = attack.kind != Attack::Kind::none && sent > attack.at;
        if (!hit) return peer_->arrive(data, false);
        const std::size_t good = attack.at > begin ? attack.at - begin : 0;
        switch (attack.kind) {
            case Attack::Kind::corrupt:
                if (attack.at >= begin) data[good] = static_cast<char>(data[good] ^ 0x55);
                return peer_->arrive(data, false);
            case Attack::Kind::reset:
                peer_->arrive(data.substr(0, good), false);
                return peer_->reset_soon();
            case Attack::Kind::cut:
                return peer_->arrive(data.substr(0, good), true);
            default:
                return peer_->arrive(data.substr(0, good), false);
        }
    }
    void arrive(std::string_view data, bool end) {
        if (ended_) return;
        incoming_ += data;
        ended_ = end;
        pump_soon();
    }
    void reset_soon() {
        loop_.call_soon([self = Ref<MemoryTransport>(this)] {
            self->pump();
            self->begin_closing();
            self->lose_soon(std::make_exception_ptr(
                std::system_error(ECONNRESET, std::generic_category(), "receive")));
        });
    }
    void pump_soon() {
        loop_.call_soon([self = Ref<MemoryTransport>(this)] { self->pump(); });
    }
    void pump() {
        while (reading_ && !is_closing() && protocol_ && !incoming_.empty()) {
            const std::string part = incoming_.substr(0, piece);
            incoming_.erase(0, part.size());
            protocol_->data_received(bytes_of(part));
        }
        if (!reading_ || is_closing() || !protocol_ || !ended_ || std::exchange(told_, true))
            return;
        if (!protocol_->eof_received()) close();
    }
    void lose_soon(std::exception_ptr error) {
        if (std::exchange(losing_, true)) return;
        if (kernel) kernel->forget();
        if (peer_) peer_->arrive("", true);
        peer_ = Ref<MemoryTransport>();
        loop_.call_soon([self = Ref<MemoryTransport>(this), error] {
            const Ref<stream::Protocol> protocol = std::move(self->protocol_);
            if (protocol) protocol->connection_lost(error);
        });
    }

    EventLoop& loop_ = get_running_loop();
    Ref<MemoryTransport> peer_;
    Ref<stream::Protocol> protocol_;
    std::string incoming_;
    std::string stuck_;
    stream::WriteBufferLimits limits_{.low = 16384, .high = 65536};
    alignas(16) char name_[1] = {};
    bool reading_ = true;
    bool losing_ = false;
    bool ended_ = false;
    bool told_ = false;
    bool paused_ = false;
};

/// Streams over TLS over one end of a wire.
struct Endpoint {
    Endpoint(const SSLContext& context, bool server_side, Ref<MemoryTransport> wire,
             stream::SecureOptions options = {})
        : below(std::move(wire)), core(new stream::StreamCore(65536)) {
        options.server_side = server_side;
        if (!server_side && options.server_hostname.empty()) options.server_hostname = "localhost";
        layer = context.wrap(core, options);
    }
    /// Begin the handshake; it goes on by itself.
    void start() { below->start(layer); }
    ASYNCIO_CORO_WRAPPER Coro<> handshake() { return stream::handshake(layer); }
    StreamReader reader() const { return StreamReader(core); }
    StreamWriter writer() const { return StreamWriter(core); }

    Ref<MemoryTransport> below;
    Ref<stream::StreamCore> core;
    Ref<stream::SecureLayer> layer;
};

/// Two endpoints on a wire.
struct Connection {
    explicit Connection(const SSLContext& client_ctx = client_context(),
                        const SSLContext& server_ctx = server_context(),
                        stream::SecureOptions client_options = {},
                        stream::SecureOptions server_options = {})
        : Connection(MemoryTransport::make_pair(), client_ctx, server_ctx,
                     std::move(client_options), std::move(server_options)) {}
    Connection(std::pair<Ref<MemoryTransport>, Ref<MemoryTransport>> wire,
               const SSLContext& client_ctx, const SSLContext& server_ctx,
               stream::SecureOptions client_options, stream::SecureOptions server_options)
        : client(client_ctx, false, wire.first, std::move(client_options)),
          server(server_ctx, true, wire.second, std::move(server_options)) {}

    /// Both ends begin.
    void start() {
        server.start();
        client.start();
    }
    Coro<> shake_hands() {
        start();
        co_await gather(client.handshake(), server.handshake());
    }

    Endpoint client;
    Endpoint server;
};

inline TimePoint now() { return get_running_loop().time(); }

/// What an end came to, in words.
template <class A>
Coro<std::string> end_of(A awaitable) {
    auto outcome = co_await as_outcome(std::move(awaitable));
    if (outcome) co_return "ok";
    if (outcome.cancelled()) co_return "cancelled";
    co_return describe(outcome.error());
}

inline Coro<> read_to_end(StreamReader reader, std::string& text) { text = co_await reader.read(); }

/// Two engines, joined by hand.
struct Engines {
    explicit Engines(const SSLContext& client_ctx = client_context(),
                     const SSLContext& server_ctx = server_context(),
                     const std::string& name = "localhost")
        : client(client_ctx, false, name), server(server_ctx, true, "") {}

    /// Let both go on with their handshakes until nothing moves.
    void shake_hands() {
        for (int i = 0; i < 10; ++i) {
            client.handshake();
            carry(client, server);
            carry(server, client);
        }
    }
    /// What `from` has to send, to `to`, whose handshake goes on with it.
    static void carry(tls::Engine& from, tls::Engine& to) {
        const std::string bytes = from.output().take(from.output().size());
        const tls::Engine::Input lend(to, bytes_of(bytes));
        to.handshake();
    }
    /// The same, and what `to` reads then.
    static std::string deliver(tls::Engine& from, tls::Engine& to) {
        const std::string bytes = from.output().take(from.output().size());
        const tls::Engine::Input lend(to, bytes_of(bytes));
        std::string text;
        std::byte memory[tls::Engine::kRecord];
        while (const std::size_t count = to.read(memory))
            text.append(reinterpret_cast<const char*>(memory), count);
        return text;
    }

    tls::Engine client;
    tls::Engine server;
};

}  // namespace asyncio::tls_tests
