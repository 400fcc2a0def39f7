// SPDX-License-Identifier: MIT
//
// Streams as several tasks use them: on both ends of a wire that is slow, cut, reset or silent some
// write and drain, one reads in each way there is, some wait for the end; each may be cancelled or
// run out of time, both ends may go over to TLS, and close, abort or end their half when the bytes
// say so. What is read is the beginning of what the other end wrote, in order, and no cancelled
// read loses any; an end that is told as one comes behind all of it; and whoever waits goes on.
//
// covers: stream/stream_core.hpp stream/stream_core.cpp stream/read_request.hpp
#include <asyncio/base/log.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/stream/error.hpp>
#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/writer.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "fuzz.hpp"
#include "scripted_wire.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;

constexpr Duration kHandshakeLimit = std::chrono::seconds(8);
constexpr Duration kShutdownLimit = std::chrono::seconds(3);
constexpr Duration kAllLimits = kHandshakeLimit + 4 * kShutdownLimit;
constexpr size_t kMostWritten = 200'000;  // bytes
constexpr size_t kMostTasks = 6;          // of an end

const ssl::SSLContext& context_of(bool server) {
    static const ssl::SSLContext of_server = tls_tests::server_context();
    static const ssl::SSLContext of_client = tls_tests::client_context();
    return server ? of_server : of_client;
}

/// One end, and its tasks.
class User {
  public:
    User(Wire& wire, size_t end)
        : input_(wire.input()),
          wire_(wire),
          end_(end),
          core_(new stream::StreamCore(1 + input_.byte() * size_t{8})) {}
    void face(User& other) { other_ = &other; }
    void begin() {
        net::SocketTransport::open(get_running_loop(), os::Fd(Wire::fd_of(end_)), core_);
        plain_ = core_->transport();
    }

    void act() {
        std::erase_if(tasks_, [](const Task<void>& task) { return task.done(); });
        const size_t kind = input_.below(16);
        if (kind == 0) return cancel_one();
        if (kind == 1) return disturb();
        if (!is_usable()) return;
        if (kind == 2 && input_.below(4) == 1) return close();
        if (kind == 3 && input_.below(4) == 1) return abort();
        if (kind == 4 && input_.below(4) == 1) return end_half();
        if (kind == 5) return set_limits();
        if (kind == 6) return upgrade_both();
        if (tasks_.size() < kMostTasks) start(kind);
    }
    /// What ends everything; no task is cancelled. `closes`: now, else when all is read.
    void finish(bool closes) {
        if (closes) close();
        start_task(read_to_the_end());
        start_task(wait_for_close());
    }
    void abort() {
        aborted_ = true;
        writer_.abort();
    }
    /// It no longer reads, and waits until the other end has read what it wrote.
    bool is_deaf() const { return closed_ && !is_secure(); }
    bool is_over() const {
        for (const Task<void>& task : tasks_)
            if (!task.done()) return false;
        return !wire_.ends[end_].open;
    }
    /// A connection may break for it.
    bool is_to_blame() const { return aborted_ || gave_up_; }
    bool is_secure() const { return core_->transport() != plain_; }
    void check() const {
        FUZZ_CHECK(reading_ || core_->buffer().size() <= 2 * core_->limit() + 2 * Wire::kRoom);
    }

  private:
    /// From its begin until it is TLS that takes them, nothing else is read and written.
    bool is_usable() const { return !upgrading_ || is_secure() || core_->is_closing(); }
    bool may_break() const {
        return wire_.disturbed || wire_.late || is_to_blame() || other_->is_to_blame();
    }

    // --- tasks ----------------------------------------------------------------------------------

    void start_task(Coro<> work) { tasks_.push_back(create_task(std::move(work))); }
    void start(size_t kind) {
        if (kind == 7) return start_task(wait_for_drain());
        if (kind == 8) return start_task(wait_for_close());
        if (kind < 12) return start_task(write_and_drain(more(kind)));
        if (!reading_) start_task(read_in_time(input_.below(6), 1 + input_.number(2) % 3000));
    }
    void cancel_one() {
        if (!tasks_.empty()) tasks_[input_.below(tasks_.size())].cancel();
    }

    Coro<> write_and_drain(std::string text) {
        if (!is_usable()) co_return;
        const size_t before = written_.size();
        if (!core_->is_closing()) written_ += text;
        try {
            writer_.write(text);
        } catch (const std::logic_error&) {
            FUZZ_CHECK(half_ended_);
            written_.resize(before);
        }
        co_await wait_for_drain();
    }
    Coro<> wait_for_drain() {
        try {
            co_await writer_.drain();
        } catch (const std::exception&) {
            FUZZ_CHECK(core_->is_closing() || core_->error());
        }
    }
    Coro<> wait_for_close() {
        try {
            co_await writer_.wait_closed();
            FUZZ_CHECK(core_->lost());
        } catch (const std::system_error&) {
            FUZZ_CHECK(core_->lost_with_error());
        }
    }

    Coro<> read_in_time(size_t how, size_t size) {
        if (reading_ || !is_usable()) co_return;
        if (how == 5)
            (void)co_await as_outcome(wait_for(read(0, size), std::chrono::milliseconds(100)));
        else
            co_await read(how, size);
    }
    Coro<> read_to_the_end() {
        while (reading_) co_await sleep(std::chrono::milliseconds(50));
        while (!over_) co_await read(0, 5000);
        close();
    }
    Coro<> read(size_t how, size_t size) {
        struct Reading {
            explicit Reading(bool& flag) : flag_(flag) { flag_ = true; }
            ~Reading() { flag_ = false; }
            bool& flag_;
        } one(reading_);
        try {
            const size_t count = co_await read_by(how, size);
            if (count == 0) came_to_the_end();
        } catch (const IncompleteReadError& error) {
            came(error.partial());
            came_to_the_end();
        } catch (const std::exception&) {
            FUZZ_CHECK(core_->error() && (may_break() || closed_ || other_->closed_));
            over_ = true;
        }
    }
    /// How many bytes; none: the end.
    Coro<size_t> read_by(size_t how, size_t size) {
        if (how == 1) {
            const std::string data = co_await reader_.readexactly(size);
            came(data);
            co_return data.size();
        }
        if (how == 2) {
            std::string memory(size, '\0');
            const std::span<std::byte> room = std::as_writable_bytes(std::span(memory));
            const size_t count = co_await reader_.read_into(room);
            came(std::string_view(memory).substr(0, count));
            co_return count;
        }
        if (how == 3) {
            const std::string_view seen = co_await reader_.peek();
            const std::string part(seen.substr(0, size));
            reader_.consume(part.size());
            came(part);
            co_return part.size();
        }
        const std::string data = co_await reader_.read(size);
        came(data);
        co_return data.size();
    }
    void came(std::string_view data) {
        FUZZ_CHECK(other_->written_.substr(received_, data.size()) == data);
        received_ += data.size();
    }
    /// The connection below tells a cut as an end; TLS does not.
    void came_to_the_end() {
        over_ = true;
        FUZZ_CHECK(core_->eof());
        if (closed_ || aborted_ || gave_up_ || (!is_secure() && may_break())) return;
        FUZZ_CHECK(received_ == other_->written_.size());
        FUZZ_CHECK(other_->half_ended_ || other_->core_->is_closing());
    }

    // --- calls ----------------------------------------------------------------------------------

    std::string more(size_t kind) {
        size_t size = kind == 9 ? input_.number(2) % 30'000 : input_.below(60);
        if (written_.size() > kMostWritten) size = 0;
        std::string text(size, '\0');
        for (char& c : text) c = static_cast<char>('A' + counter_++ % 53);
        return text;
    }
    void close() {
        closed_ = true;
        writer_.close();
    }
    void end_half() {
        if (!core_->transport()->can_write_eof()) return;
        half_ended_ = true;
        writer_.write_eof();
    }
    void set_limits() {
        const size_t high = input_.number(2) >> input_.below(16);
        writer_.set_write_buffer_limits(high, high / (1 + input_.below(5)));
    }
    void disturb() {
        const size_t kind = input_.below(32);
        if (kind == 1) wire_.cut(wire_.ends[end_]);
        if (kind == 2) wire_.reset();
        if (kind == 3) wire_.fall_silent();
    }

    /// When neither has anything on its way.
    void upgrade_both() {
        if (!may_upgrade() || !other_->may_upgrade()) return;
        upgrade();
        other_->upgrade();
    }
    bool may_upgrade() const {
        return !upgrading_ && !reading_ && !half_ended_ && !core_->is_closing() && !core_->over() &&
               received_ == other_->written_.size();
    }
    void upgrade() {
        upgrading_ = true;
        tasks_.push_back(create_task(start_tls(), {.eager_start = true}));
    }
    Coro<> start_tls() {
        struct Unless {  // it came to its end
            ~Unless() {
                user.gave_up_ |= !over;
                FUZZ_CHECK(over || user.core_->is_closing());
            }
            User& user;
            bool over = false;
        } gave_up{*this};
        const bool server = end_ == 1;
        StartTlsOptions options;
        options.server_side = server;
        if (!server) options.server_hostname = "localhost";
        options.ssl_handshake_timeout = kHandshakeLimit;
        options.ssl_shutdown_timeout = kShutdownLimit;
        try {
            co_await writer_.start_tls(context_of(server), options);
        } catch (const std::exception&) {
            FUZZ_CHECK(core_->is_closing() && (may_break() || closed_ || other_->closed_));
        }
        gave_up.over = true;
    }

    Input& input_;
    Wire& wire_;
    size_t end_;
    User* other_ = nullptr;
    Ref<stream::StreamCore> core_;
    StreamReader reader_{core_};
    StreamWriter writer_{core_};
    const stream::Transport* plain_ = nullptr;
    std::vector<Task<void>> tasks_;
    std::string written_;
    size_t received_ = 0;
    size_t counter_ = 0;
    bool reading_ = false;
    bool over_ = false;  // read to the end
    bool half_ended_ = false;
    bool closed_ = false;
    bool aborted_ = false;
    bool upgrading_ = false;
    bool gave_up_ = false;  // its handshake
};

Coro<> play(Wire& wire, User& client, User& server) {
    Input& input = wire.input();
    server.begin();
    client.begin();
    while (!input.empty()) {
        (input.chance() ? client : server).act();
        Duration duration = Duration::zero();
        if (input.below(32) == 1) duration = std::chrono::seconds(1 + input.below(9));
        wire.late |= duration > Duration::zero();
        co_await sleep(duration);
        for (const User* user : {&client, &server}) user->check();
    }
    client.finish(true);
    server.finish(false);
    const bool stuck = client.is_deaf() && server.is_deaf();
    if (wire.disturbed || stuck) client.abort(), server.abort();
    EventLoop& loop = get_running_loop();
    const auto begin = loop.time();
    while (!client.is_over() || !server.is_over()) {
        FUZZ_CHECK(loop.time() - begin < kAllLimits);
        co_await sleep(std::chrono::milliseconds(100));
    }
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(tls_streams) {
    using namespace asyncio;
    using namespace asyncio::fuzz;
    const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
    Wire wire(input);
    const StandInSystem::Turn turn(wire);
    User client(wire, 0);
    User server(wire, 1);
    client.face(server);
    server.face(client);
    {
        EventLoop loop(std::make_unique<WireKernel>(wire));
        loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
        loop.run_until_complete(play(wire, client, server));
        FUZZ_CHECK(all_tasks(loop).empty());
        loop.close();
    }
    for (const Wire::End& end : wire.ends) FUZZ_CHECK(!end.open);
    set_log_sink(before);
}
