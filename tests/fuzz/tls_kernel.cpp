// SPDX-License-Identifier: MIT
//
// TlsTransport where the kernel encrypts for either end, both or none: a kernel of our own, which
// makes the records and has room or not, refuses keys or breaks, under a wire in memory that holds
// back, is cut or is reset. Both ends write, close, abort, pause, throw and give up as the bytes
// say. What one is given is the beginning of what the other wrote, and all of it when an end is
// told; who was told of a connection is told once, last, that it was lost, with an error if there
// was a reason; and all ends within the time limits.
//
// covers: tls/tls_transport.cpp tls/engine.cpp
#include <asyncio/base/log.hpp>
#include <asyncio/stream/protocol.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <cerrno>
#include <optional>

#include "fuzz.hpp"
#include "scripted_user.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;
using tls_tests::Attack;
using tls_tests::FakeKernelTls;
using tls_tests::MemoryTransport;
using tls_tests::SSLContext;

constexpr Duration kHandshakeLimit = std::chrono::seconds(8);
constexpr Duration kShutdownLimit = std::chrono::seconds(3);
constexpr Duration kAllLimits = kHandshakeLimit + 4 * kShutdownLimit;
constexpr size_t kMostWritten = 200'000;  // bytes

SSLContext offered(SSLContext context) {
    context.enable_ktls = true;
    return context;
}

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
class Side final : public stream::UserProtocol, private ScriptedUser {
  public:
    Side(Input& input, Ref<MemoryTransport> below, bool is_server)
        : ScriptedUser(input), below_(std::move(below)), is_server_(is_server) {}
    void face(Side& other) { other_ = &other; }

    void begin(bool old) {
        const stream::SecureOptions options = {.server_side = is_server_,
                                               .server_hostname = is_server_ ? "" : "localhost",
                                               .handshake_timeout = kHandshakeLimit,
                                               .shutdown_timeout = kShutdownLimit};
        const Ref<stream::SecureLayer> layer =
            context_of(is_server_, old).wrap(Ref<stream::Protocol>(this), options);
        transport_ = Ref<stream::Transport>(&layer->transport());
        below_->piece = 1 + input_.number(2);
        if (input_.below(4) != 1) below_->add_kernel_tls();
        if (below_->kernel) below_->kernel->supported = input_.below(16) != 1;
        if (below_->kernel) below_->kernel->accepts_keys = input_.below(16) != 1;
        below_->start(layer);
        ++handshaking_;
        handshake_ = create_task(await_handshake(layer), {.eager_start = true});
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
    bool is_to_blame() const { return aborted_ || gave_up_ || thrown_ || disturbed_ || late; }

    bool late = false;  // something took longer than a time limit

    // --- UserProtocol ---------------------------------------------------------------------------

    void connection_made(Transport& transport) override {
        FUZZ_CHECK(!made_ && !lost_ && &transport == transport_.get() && is_secure());
        made_ = true;
        act_in_callback();
    }
    void data_received(std::span<const std::byte> data) override {
        FUZZ_CHECK(made_ && !lost_ && !eof_ && !closed_ && !aborted_ && !data.empty());
        FUZZ_CHECK(!reading_paused_ && is_secure());
        const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
        FUZZ_CHECK(other_->written_.substr(received_, data.size()) == text);
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
        FUZZ_CHECK(transport_->is_closing() && !transport_->ssl_object());
        FUZZ_CHECK(error ? has_reason() : closed_ || aborted_ || gave_up_ || eof_);
        if (input_.chance()) transport_->write("too late"), transport_->abort();
        if (input_.below(8) == 1) raise();
    }
    void pause_writing() override { flow(true); }
    void resume_writing() override { flow(false); }

  private:
    bool is_secure() const { return transport_->ssl_object() != nullptr; }
    bool has_reason() const { return is_to_blame() || other_->is_to_blame(); }
    void flow(bool paused) {
        FUZZ_CHECK(made_ && !lost_ && paused_ != paused);
        paused_ = paused;
        act_in_callback();
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
    void make_room() {
        if (!below_->kernel) return;
        if (below_->kernel->error == EAGAIN) below_->kernel->error = 0;
        below_->kernel->look();
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
                return renew_keys();
            case 10:
                if (input_.below(4) != 1 || !handshake_ || handshake_->done()) return;
                gave_up_ = true;
                handshake_->cancel();
                return;
            case 11:
                return write_lines();
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
    std::string made_up(size_t size) {
        std::string text(size, '\0');
        for (char& c : text) c = static_cast<char>('A' + counter_++ % 53);
        if (!transport_->is_closing()) written_ += text;
        return text;
    }
    void write(size_t size) {
        if (written_.size() <= kMostWritten) transport_->write(made_up(size));
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
        const auto* const engine = static_cast<const tls::Engine*>(transport_->ssl_object());
        if (engine == nullptr || transport_->is_closing() || !engine->may_write()) return;
        if (engine->ktls_send() || engine->version() != "TLSv1.3") return;
        disturbed_ |= other_->below_->kernel.has_value();
        const_cast<tls::Engine*>(engine)->update_keys();
    }

    Ref<MemoryTransport> below_;
    Side* other_ = nullptr;
    Ref<stream::Transport> transport_;
    std::optional<Task<void>> handshake_;
    std::string written_;
    size_t received_ = 0;
    size_t counter_ = 0;
    int calls_ = 0;
    int handshaking_ = 0;
    bool is_server_;
    bool disturbed_ = false;
    bool made_ = false;
    bool eof_ = false;
    bool closed_ = false;
    bool aborted_ = false;
    bool gave_up_ = false;  // its handshake
    bool paused_ = false;
    bool reading_paused_ = false;
    bool lost_ = false;
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
        FUZZ_CHECK(loop.time() - begin < kAllLimits);
        co_await sleep(std::chrono::milliseconds(100));
    }
    co_await sleep(kAllLimits);  // whatever still goes on in the loop
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
