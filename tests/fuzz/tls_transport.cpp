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
// covers: tls/tls_transport.hpp tls/tls_transport.cpp tls/tls_handshake.cpp tls/tls_shutdown.cpp
//     tls/tls_layer.cpp
#include <asyncio/base/log.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/tls/context_state.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <memory>
#include <stdexcept>

#include <openssl/ssl.h>

#include "fuzz.hpp"
#include "scripted_tls_user.hpp"
#include "scripted_wire.hpp"

namespace asyncio::fuzz {
namespace {

using net::SocketTransport;
using std::size_t;
using tls_tests::SSLContext;

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
class Side final : public ScriptedTlsUser {
  public:
    Side(World& world, size_t end) : ScriptedTlsUser(world.input), world_(world), end_(end) {}

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
        if (system().told_end || (reading_paused_ && waits_in_layer)) return;
        using State = kernel::Operation::State;
        const State receiving = world_.kernel->receiving(Wire::fd_of(end_));
        if (reading_paused_) return FUZZ_CHECK(receiving != State::submitted);
        // What came with a pause is told first, in a turn of its own.
        if (get_running_loop().iteration() - resumed_in_ > 1) FUZZ_CHECK(receiving != State::idle);
    }

    // --- UserProtocol: before the connection is upgraded -----------------------------------------

    void connection_made(Transport& transport) override {
        if (!world_.upgrades) return ScriptedTlsUser::connection_made(transport);
        FUZZ_CHECK(!made_ && !lost_);
        made_ = true;
    }
    void data_received(std::span<const std::byte> data) override {
        if (!transport_) return (void)plain_.append(as_text(data));
        ScriptedTlsUser::data_received(data);
    }
    bool eof_received() override {
        if (!transport_) return plain_eof_ = true;
        return ScriptedTlsUser::eof_received();
    }

  private:
    const Wire::End& system() const { return world_.wire.ends[end_]; }
    bool is_server() const { return end_ == 1; }
    bool has_reason() const override {
        const Wire& wire = world_.wire;
        return wire.disturbed || wire.late || ScriptedTlsUser::has_reason();
    }

    // --- the connection -------------------------------------------------------------------------

    void open_below(Ref<stream::Protocol> protocol) {
        below_ = SocketTransport::create(get_running_loop(), os::Fd(Wire::fd_of(end_)),
                                         std::move(protocol));
        below_->start();
    }
    /// The transport below owns it.
    Ref<stream::SecureLayer> make_layer() {
        return (is_server() ? contexts().server : contexts().client)[world_.kind].wrap(
            Ref<stream::Protocol>(this), options(is_server()));
    }
    void upgrade() {
        if (!made_ || plain_eof_ || base_->is_closing()) return;
        const Ref<stream::SecureLayer> layer = make_layer();
        transport_ = Ref<stream::Transport>(&layer->transport());
        layer->upgrade(*base_, std::as_bytes(std::span(plain_)));
        shake_hands(layer);
    }

    // --- calls ----------------------------------------------------------------------------------

    void call(size_t kind) {
        switch (kind) {
            case 9:
                return write_eof();
            case 10:
                return renew_keys();
            case 11:
                return give_up_handshake();
            case 12:
                return disturb();
            default:
                return ScriptedTlsUser::call(kind);
        }
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
        if (tls::Engine* const engine = renewable()) engine->update_keys();
    }
    void disturb() {
        const size_t kind = input_.below(32);
        if (kind == 1) world_.wire.cut(world_.wire.ends[end_]);
        if (kind == 2) world_.wire.reset();
        if (kind == 3) world_.wire.fall_silent();
    }

    World& world_;
    size_t end_;
    Ref<SocketTransport> below_;
    Ref<stream::Transport> base_;  // of the connection before it is upgraded
    std::string plain_;            // received before the upgrade
    bool plain_eof_ = false;
};

Coro<> wait_for_the_end(const Side& client, const Side& server) {
    EventLoop& loop = get_running_loop();
    const auto begin = loop.time();
    while (!client.is_over() || !server.is_over()) {
        FUZZ_CHECK(loop.time() - begin < Side::kAllLimits);
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
