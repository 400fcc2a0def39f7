// SPDX-License-Identifier: MIT
//
// TlsTransport where the kernel encrypts for either end, both or none: a kernel of our own, which
// makes the records and has room or not, refuses keys or breaks, under a wire in memory that holds
// back, is cut or is reset. Both ends write, close, abort, pause, throw and give up as the bytes
// say. What one is given is the beginning of what the other wrote, and all of it when an end is
// told; who was told of a connection is told once, last, that it was lost, with an error if there
// was a reason; and all ends within the time limits.
//
// covers: tls/tls_transport.cpp tls/tls_handshake.cpp tls/tls_shutdown.cpp tls/engine.cpp
#include <asyncio/base/log.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <cerrno>
#include <memory>

#include "fuzz.hpp"
#include "scripted_tls_user.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;
using tls_tests::Attack;
using tls_tests::FakeKernelTls;
using tls_tests::MemoryTransport;
using tls_tests::offered;
using tls_tests::SSLContext;

const SSLContext& context_of(bool server, bool old) {
    static const SSLContext of_server = offered(tls_tests::server_context());
    static const SSLContext of_client = offered(tls_tests::client_context());
    static const SSLContext of_old_client = [] {
        SSLContext context = of_client;
        context.maximum_version = ssl::TLSVersion::TLSv1_2;
        return context;
    }();
    return server ? of_server : old ? of_old_client : of_client;
}

/// One end, and its user.
class Side final : public ScriptedTlsUser {
  public:
    Side(Input& input, Ref<MemoryTransport> below, bool is_server)
        : ScriptedTlsUser(input), below_(std::move(below)), is_server_(is_server) {}

    void begin(bool old) {
        const Ref<stream::SecureLayer> layer =
            context_of(is_server_, old).wrap(Ref<stream::Protocol>(this), options(is_server_));
        transport_ = Ref<stream::Transport>(&layer->transport());
        below_->piece = 1 + input_.number(2);
        if (input_.below(4) != 1) below_->add_kernel_tls();
        if (below_->kernel) below_->kernel->supported = input_.below(16) != 1;
        if (below_->kernel) below_->kernel->accepts_keys = input_.below(16) != 1;
        below_->start(layer);
        shake_hands(layer);
    }
    void act() override {
        ++calls_;
        if (!lost_) call(input_.below(16));
        --calls_;
    }
    /// What the system and the wire do.
    void disturb() {
        if (lost_) return;
        switch (input_.below(12)) {
            case 1:
                below_->stuck = true;
                return;
            case 2:
                return below_->unstick();
            case 3:
                if (below_->kernel && below_->kernel->error == 0) below_->kernel->error = EAGAIN;
                return;
            case 4:
                return make_room();
            case 5:
                if (!below_->kernel || input_.below(4) != 1) return;
                disturbed_ = true;
                below_->kernel->error = input_.chance() ? EPIPE : ENOMEM;
                return below_->kernel->look();
            case 6:
                if (input_.below(4) != 1) return;
                disturbed_ = true;
                return below_->hear_end();
            case 7:
                if (input_.below(4) != 1) return;
                disturbed_ = true;
                below_->attack = {input_.chance() ? Attack::Kind::cut : Attack::Kind::reset,
                                  below_->sent + input_.number(1)};
                return;
            default:
                return;
        }
    }
    /// What ends everything.
    void finish(bool closes) {
        if (lost_) return;
        below_->unstick();
        make_room();
        resume();
        if (closes) close();
    }
    bool is_over() const { return made_ == lost_ && handshaking_ == 0 && transport_->is_closing(); }
    bool is_to_blame() const override {
        return disturbed_ || late || ScriptedTlsUser::is_to_blame();
    }

    bool late = false;  // something took longer than a time limit

  private:
    void make_room() {
        if (!below_->kernel) return;
        if (below_->kernel->error == EAGAIN) below_->kernel->error = 0;
        below_->kernel->look();
    }

    // --- calls ----------------------------------------------------------------------------------

    void call(size_t kind) {
        switch (kind) {
            case 9:
                return renew_keys();
            case 10:
                return give_up_handshake();
            case 11:
                return write_lines();
            default:
                return ScriptedTlsUser::call(kind);
        }
    }
    void write_lines() {
        if (written_.size() > kMostWritten) return;
        const std::string one = made_up(input_.below(50));
        const std::string two = made_up(input_.number(2) % 20'000);
        const std::span<const std::byte> lines[] = {std::as_bytes(std::span(one)),
                                                    std::as_bytes(std::span(two))};
        transport_->writelines(lines);
    }
    /// A peer whose kernel encrypts takes it for an error.
    void renew_keys() {
        tls::Engine* const engine = renewable();
        if (engine == nullptr || engine->ktls_send()) return;
        const Side& peer = static_cast<const Side&>(*other_);
        disturbed_ |= peer.below_->kernel.has_value();
        engine->update_keys();
    }

    Ref<MemoryTransport> below_;
    bool is_server_;
    bool disturbed_ = false;
};

/// A turn of the loop, or so long that time limits are over.
Coro<> pass_time(Input& input, Side& side) {
    Duration duration = Duration::zero();
    if (input.below(32) == 1) duration = std::chrono::seconds(1 + input.below(9));
    side.late |= duration > Duration::zero();
    co_await sleep(duration);
}

Coro<> play(Input& input) {
    auto [near, far] = MemoryTransport::make_pair();
    const Ref<Side> client(new Side(input, near, false));
    const Ref<Side> server(new Side(input, far, true));
    client->face(*server);
    server->face(*client);
    const bool old = input.below(8) == 1;
    server->begin(old);
    client->begin(old);
    while (!input.empty() && !(client->is_over() && server->is_over())) {
        Side& side = input.chance() ? *client : *server;
        if (input.chance())
            side.act();
        else
            side.disturb();
        co_await pass_time(input, side);
    }
    const bool both = client->is_to_blame() || server->is_to_blame();
    client->finish(true);
    server->finish(both);
    EventLoop& loop = get_running_loop();
    const auto begin = loop.time();
    while (!client->is_over() || !server->is_over()) {
        FUZZ_CHECK(loop.time() - begin < Side::kAllLimits);
        co_await sleep(std::chrono::milliseconds(100));
    }
    co_await sleep(Side::kAllLimits);  // whatever still goes on in the loop
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(tls_kernel) {
    using namespace asyncio;
    using namespace asyncio::fuzz;
    const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
    EventLoop loop(std::make_unique<StillKernel>());
    loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
    loop.run_until_complete(play(input));
    FUZZ_CHECK(all_tasks(loop).empty());
    loop.close();
    set_log_sink(before);
}
