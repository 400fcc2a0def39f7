// SPDX-License-Identifier: MIT
//
// TlsTransport: a client and a server over the transports of two sockets, TLS from the start or
// put in front of a connection in use. Both write, close, abort, pause, renew keys, throw and give
// up their handshakes as the bytes say, on a wire that is slow, cut, reset or silent. What one is
// given is the beginning of what the other wrote, and all of it when an end is told; who was told
// of a connection is told once, last, that it was lost, and with an error if it was cut; what is
// wanted is read, what is not stays where it is; pauses and resumes are paired; and all ends within
// the time limits.
//
// covers: tls/tls_transport.hpp tls/tls_transport.cpp tls/tls_layer.cpp
#include <asyncio/base/log.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/stream/protocol.hpp>
#include <asyncio/tls/context_state.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <optional>
#include <stdexcept>

#include <openssl/ssl.h>

#include "fuzz.hpp"
#include "scripted_user.hpp"
#include "scripted_wire.hpp"

namespace asyncio::fuzz {
namespace {

using net::SocketTransport;
using std::size_t;
using tls_tests::SSLContext;

constexpr Duration kHandshakeLimit = std::chrono::seconds(8);
constexpr Duration kShutdownLimit = std::chrono::seconds(3);
constexpr Duration kAllLimits = kHandshakeLimit + 4 * kShutdownLimit;
constexpr size_t kMostWritten = 200'000;  // bytes

/// Several of each side, and how many.
struct Contexts {
    static constexpr size_t kCount = 3;

    SSLContext client[kCount] = {tls_tests::client_context(), tls_tests::client_context(),
                                 with_certificate()};
    SSLContext server[kCount] = {tls_tests::server_context(), tls_tests::server_context(),
                                 asking_in_small_records()};

    Contexts() { client[1].maximum_version = ssl::TLSVersion::TLSv1_2; }
    static SSLContext with_certificate() {
        SSLContext context = tls_tests::client_context();
        const tls_tests::Credentials own = tls_tests::authority().issue({.common_name = "client"});
        context.load_cert_chain_data(own.certificate, own.key);
        return context;
    }
    /// Its session tickets hold the client's certificate, and take more than one record.
    static SSLContext asking_in_small_records() {
        SSLContext context = tls_tests::server_context();
        const std::string trusted = tls_tests::authority().certificate();
        context.load_verify_locations({.cadata = trusted});
        context.verify_mode = ssl::CERT_OPTIONAL;
        SSL_CTX_set_max_send_fragment(context.state()->native, 512);
        return context;
    }
};

const Contexts& contexts() {
    static const Contexts instance;
    return instance;
}

struct World {
    explicit World(Input& bytes) : input(bytes), wire(bytes), kernel(new WireKernel(wire)) {}

    Input& input;
    Wire wire;
    WireKernel* kernel;     // the loop's
    bool upgrades = false;  // TLS is put in front of a connection in use,
    bool nested = false;    // which is a TLS connection, too
    size_t kind = 0;        // of the contexts
};

/// One end, and its user.
class Side final : public stream::UserProtocol, private ScriptedUser {
  public:
    Side(World& world, size_t end) : ScriptedUser(world.input), world_(world), end_(end) {}
    void face(Side& other) { other_ = &other; }

    void begin() {
        if (world_.upgrades && !world_.nested) {
            open_below(Ref<stream::Protocol>(this));
            base_ = below_;
            return;
        }
        const Ref<stream::SecureLayer> layer = make_layer();
        base_ = Ref<stream::Transport>(&layer->transport());
        if (!world_.upgrades) transport_ = base_;
        open_below(layer);
        shake_hands(layer);
    }
    void act() override {
        ++calls_;
        if (lost_ || below_->fileno() == -1)
            disturb();
        else if (!transport_)
            upgrade();
        else
            call(input_.below(20));
        --calls_;
    }
    /// What ends everything.
    void finish(bool closes) {
        if (below_->fileno() == -1) return;
        if (!transport_) return aborted_ = true, base_->abort();
        resume();
        if (closes) close();
    }
    bool is_over() const { return !system().open && handshaking_ == 0 && made_ == lost_; }
    bool leaves_it_open() const { return written_.size() % 4 == 3; }
    void check() const {
        if (!made_ || lost_ || !is_secure()) return;
        if (transport_->is_closing() || base_->is_closing() || below_->is_closing()) return;
        const auto limits = transport_->get_write_buffer_limits();
        const size_t size = transport_->get_write_buffer_size();
        const bool waits_in_layer = size > below_->get_write_buffer_size();
        FUZZ_CHECK(paused_ ? size > limits.low || waits_in_layer : size <= limits.high);
        FUZZ_CHECK(transport_->is_reading() != reading_paused_);
        if (system().told_end) return;
        using State = kernel::Operation::State;
        const State receiving = world_.kernel->receiving(Wire::fd_of(end_));
        FUZZ_CHECK(receiving != (reading_paused_ ? State::submitted : State::idle));
    }
    /// Something happened for which a connection may break.
    bool is_to_blame() const { return aborted_ || gave_up_ || thrown_; }

    // --- UserProtocol ---------------------------------------------------------------------------

    void connection_made(Transport& transport) override {
        FUZZ_CHECK(!made_ && !lost_);
        FUZZ_CHECK(world_.upgrades || (&transport == transport_.get() && is_secure()));
        made_ = true;
        if (!world_.upgrades) act_in_callback();
    }
    void data_received(std::span<const std::byte> data) override {
        if (!transport_) return (void)plain_.append(as_text(data));
        FUZZ_CHECK(made_ && !lost_ && !eof_ && !closed_ && !aborted_ && !data.empty());
        FUZZ_CHECK(!reading_paused_ && is_secure());
        FUZZ_CHECK(other_->written_.substr(received_, data.size()) == as_text(data));
        received_ += data.size();
        act_in_callback();
    }
    bool eof_received() override {
        if (!transport_) return plain_eof_ = true;
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

  private:
    const Wire::End& system() const { return world_.wire.ends[end_]; }
    bool is_server() const { return end_ == 1; }
    bool is_secure() const { return transport_ && transport_->ssl_object() != nullptr; }
    bool has_reason() const {
        const Wire& wire = world_.wire;
        return wire.disturbed || wire.late || is_to_blame() || other_->is_to_blame();
    }
    void flow(bool paused) {
        FUZZ_CHECK(made_ && !lost_ && paused_ != paused);
        paused_ = paused;
        act_in_callback();
    }

    // --- the connection -------------------------------------------------------------------------

    void open_below(Ref<stream::Protocol> protocol) {
        below_ = SocketTransport::create(get_running_loop(), os::Fd(Wire::fd_of(end_)),
                                         std::move(protocol));
        below_->start();
    }
    /// The transport below owns it.
    Ref<stream::SecureLayer> make_layer() {
        const stream::SecureOptions options = {.server_side = is_server(),
                                               .server_hostname = is_server() ? "" : "localhost",
                                               .handshake_timeout = kHandshakeLimit,
                                               .shutdown_timeout = kShutdownLimit};
        return (is_server() ? contexts().server : contexts().client)[world_.kind].wrap(
            Ref<stream::Protocol>(this), options);
    }
    void upgrade() {
        if (!made_ || plain_eof_ || base_->is_closing()) return;
        const Ref<stream::SecureLayer> layer = make_layer();
        transport_ = Ref<stream::Transport>(&layer->transport());
        layer->upgrade(*base_, std::as_bytes(std::span(plain_)));
        shake_hands(layer);
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

    // --- calls ----------------------------------------------------------------------------------

    void call(size_t kind) {
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
                const size_t high = input_.number(2) >> input_.below(16);
                return transport_->set_write_buffer_limits(high, high / (1 + input_.below(5)));
            }
            case 9:
                return write_eof();
            case 10:
                return renew_keys();
            case 11:
                if (input_.below(4) != 1 || handshake_->done()) return;
                gave_up_ = true;
                handshake_->cancel();
                return;
            case 12:
                return disturb();
            default:
                return;
        }
    }
    void resume() {
        reading_paused_ = false;
        transport_->resume_reading();
    }
    void close() {
        if (!is_secure()) aborted_ = true;
        closed_ = true;
        transport_->close();
    }
    void write(size_t size) {
        if (written_.size() > kMostWritten) return;
        std::string text(size, '\0');
        for (char& c : text) c = static_cast<char>('A' + counter_++ % 53);
        if (!transport_->is_closing()) written_ += text;
        transport_->write(text);
    }
    void write_eof() {
        try {
            transport_->write_eof();
            FUZZ_CHECK(false);
        } catch (const std::logic_error&) {
            FUZZ_CHECK(!transport_->can_write_eof());
        }
    }
    void renew_keys() {
        const auto* const engine = static_cast<const tls::Engine*>(transport_->ssl_object());
        if (engine == nullptr || transport_->is_closing() || !engine->may_write()) return;
        if (engine->version() == "TLSv1.3") const_cast<tls::Engine*>(engine)->update_keys();
    }
    void disturb() {
        const size_t kind = input_.below(32);
        if (kind == 1) world_.wire.cut(world_.wire.ends[end_]);
        if (kind == 2) world_.wire.reset();
        if (kind == 3) world_.wire.fall_silent();
    }

    World& world_;
    size_t end_;
    Side* other_ = nullptr;
    Ref<SocketTransport> below_;
    Ref<stream::Transport> base_;       // of the connection before it is upgraded
    Ref<stream::Transport> transport_;  // where this is the protocol above
    std::optional<Task<void>> handshake_;
    std::string plain_;  // received before the upgrade
    std::string written_;
    size_t received_ = 0;
    size_t counter_ = 0;
    int calls_ = 0;
    int handshaking_ = 0;
    bool plain_eof_ = false;
    bool made_ = false;
    bool eof_ = false;
    bool closed_ = false;
    bool aborted_ = false;
    bool gave_up_ = false;  // its handshake
    bool paused_ = false;
    bool reading_paused_ = false;
    bool lost_ = false;
};

Coro<> wait_for_the_end(const Side& client, const Side& server) {
    EventLoop& loop = get_running_loop();
    const auto begin = loop.time();
    while (!client.is_over() || !server.is_over()) {
        FUZZ_CHECK(loop.time() - begin < kAllLimits);
        co_await sleep(std::chrono::milliseconds(100));
    }
}

/// A turn of the loop, or so long that time limits are over.
Coro<> pass_time(World& world) {
    Duration duration = Duration::zero();
    if (world.input.below(32) == 1) duration = std::chrono::seconds(1 + world.input.below(9));
    world.wire.late |= duration > Duration::zero();
    co_await sleep(duration);
}

Coro<> play(World& world, Side& client, Side& server) {
    Input& input = world.input;
    server.begin();
    client.begin();
    while (!input.empty() && !(client.is_over() && server.is_over())) {
        (input.chance() ? client : server).act();
        for (const Side* side : {&client, &server}) side->check();
        co_await pass_time(world);
        for (const Side* side : {&client, &server}) side->check();
    }
    if (client.leaves_it_open() && server.leaves_it_open()) co_return;
    const bool blamed = client.is_to_blame() || server.is_to_blame();
    const bool both = world.wire.disturbed || world.wire.late || blamed;
    client.finish(true);
    server.finish(both);
    co_await wait_for_the_end(client, server);
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(tls_transport) {
    using namespace asyncio;
    using namespace asyncio::fuzz;
    const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
    World world(input);
    world.upgrades = input.chance();
    world.nested = input.chance();
    world.kind = input.below(Contexts::kCount);
    const StandInSystem::Turn turn(world.wire);
    const Ref<Side> client(new Side(world, 0));
    const Ref<Side> server(new Side(world, 1));
    client->face(*server);
    server->face(*client);
    {
        EventLoop loop{std::unique_ptr<kernel::Kernel>(world.kernel)};
        loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
        loop.run_until_complete(play(world, *client, *server));
        loop.close();
    }
    for (const Wire::End& end : world.wire.ends) FUZZ_CHECK(!end.open);
    set_log_sink(before);
}
