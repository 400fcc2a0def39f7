// SPDX-License-Identifier: MIT
//
// Protocols that throw, in each of their callbacks: errors are reported, and what ends the program
// leaves the loop.
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/socket_transport.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asyncio {
namespace {

using namespace net_tests;

struct ThrowingProtocol final : stream::Protocol {
    enum class In : std::uint8_t { data, eof, lost, pause, nothing };

    explicit ThrowingProtocol(In in) : where(in) {}
    void connection_made(stream::Transport& t) override {
        if (where == In::nothing) t.pause_reading();
    }
    void data_received(std::span<const std::byte> data) override {
        received += data.size();
        fail(In::data);
    }
    bool eof_received() override {
        fail(In::eof);
        return false;
    }
    void connection_lost(std::exception_ptr e) override {
        ++losses;
        error = e;
        fail(In::lost);
    }
    void pause_writing() override { fail(In::pause); }
    void resume_writing() override { fail(In::pause); }
    void destroy() noexcept override { delete this; }
    void fail(In in) const {
        if (in == where && fatal) throw SystemExit(3);
        if (in == where) throw std::runtime_error("protocol");
    }

    In where;
    bool fatal = false;
    std::size_t received = 0;
    int losses = 0;
    std::exception_ptr error;
};

TEST(SocketTransport, what_a_protocol_throws_is_reported) {
    using In = ThrowingProtocol::In;
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        const int before = open_descriptors();
        const std::vector<std::pair<In, std::string>> cases = {
            {In::data, "Fatal error: protocol.data_received() call failed."},
            {In::eof, "Fatal error: protocol.eof_received() call failed."},
            {In::lost, "protocol.connection_lost() failed"},
            {In::pause, "protocol.pause_writing() failed"}};
        for (const auto& [where, message] : cases) {
            auto sockets = tcp_pair();
            const Ref<ThrowingProtocol> protocol(new ThrowingProtocol(where));
            const auto transport =
                net::SocketTransport::open(get_running_loop(), std::move(sockets.first), protocol);
            const std::string much(where == In::pause ? 16 << 20 : 0, 'x');
            transport->write(bytes_of(much));
            raw_send(sockets.second, "x");
            sockets.second.reset();
            auto lost = [&] { return protocol->losses > 0; };
            const bool there = co_await until(lost);
            EXPECT_TRUE(there) << message;
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            EXPECT_EQ(protocol->losses, 1);
            EXPECT_FALSE(errors.messages().empty());
            if (!errors.messages().empty()) {
                EXPECT_EQ(errors.messages()[0], message);
            }
            const bool fails_with_it = where == In::data || where == In::eof;
            if (fails_with_it) {
                EXPECT_EQ(describe(protocol->error), "std::runtime_error: protocol");
            }
            errors.clear();
        }
        EXPECT_EQ(open_descriptors(), before);
    });
}

/// A peer that speaks and goes; `prepare(protocol)` says what is wrong about it.
template <class Prepare>
Coro<> meet_a_protocol_that_ends_all(ThrowingProtocol::In where, Prepare prepare) {
    auto sockets = tcp_pair();
    const Ref<ThrowingProtocol> protocol(new ThrowingProtocol(where));
    prepare(*protocol);
    const auto transport =
        net::SocketTransport::open(get_running_loop(), std::move(sockets.first), protocol);
    transport->write(
        bytes_of(std::string(where == ThrowingProtocol::In::pause ? 16 << 20 : 0, 'x')));
    raw_send(sockets.second, "x");
    sockets.second.reset();
    co_await sleep(10s);  // a deadline; the SystemExit comes before
}

TEST(SocketTransport, a_SystemExit_of_a_protocol_leaves_the_loop) {
    using In = ThrowingProtocol::In;
    for (const In where : {In::data, In::eof, In::lost, In::pause}) {
        const auto make_fatal = [](ThrowingProtocol& protocol) { protocol.fatal = true; };
        EXPECT_THROW(asyncio::run(meet_a_protocol_that_ends_all(where, make_fatal)), SystemExit);
    }
}

TEST(SocketTransport, a_SystemExit_of_the_exception_handler_leaves_the_loop) {
    using In = ThrowingProtocol::In;
    for (const In where : {In::data, In::eof, In::lost, In::pause}) {
        const auto exit_on_error = [](ThrowingProtocol&) {
            get_running_loop().set_exception_handler(
                [](EventLoop&, const ExceptionContext&) { throw SystemExit(4); });
        };
        EXPECT_THROW(asyncio::run(meet_a_protocol_that_ends_all(where, exit_on_error)), SystemExit);
    }
}

TEST(SocketTransport, pausing_in_connection_made_is_honoured) {
    testing::run([]() -> Coro<> {
        auto sockets = tcp_pair();
        const Ref<ThrowingProtocol> protocol(new ThrowingProtocol(ThrowingProtocol::In::nothing));
        const auto transport =
            net::SocketTransport::open(get_running_loop(), std::move(sockets.first), protocol);
        raw_send(sockets.second, "x");
        for (int i = 0; i < 10; ++i) co_await sleep(1ms);
        EXPECT_EQ(protocol->received, 0u);
        transport->resume_reading();
        auto there = [&] { return protocol->received == 1; };
        EXPECT_TRUE(co_await until(there));
        transport->abort();
        auto lost = [&] { return protocol->losses > 0; };
        EXPECT_TRUE(co_await until(lost));
        EXPECT_EQ(protocol->error, nullptr);
    });
}

}  // namespace
}  // namespace asyncio
