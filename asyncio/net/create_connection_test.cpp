// SPDX-License-Identifier: MIT
//
// Connections and servers with protocols of the user's: CONN and SRV as the callback level shows
// them.
#include <asyncio/net/protocol_fixture_test.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>

namespace asyncio {
namespace {

using namespace net_tests;

class Echo final : public Protocol {
  public:
    static std::unique_ptr<Echo> make() { return std::make_unique<Echo>(); }
    void connection_made(Transport& transport) override { transport_ = &transport; }
    void data_received(std::span<const std::byte> data) override { transport_->write(data); }

  private:
    Transport* transport_ = nullptr;
};

TEST(CreateConnection, CONN_01_gives_transport_and_protocol_after_connection_made) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Server server =
            co_await loop.create_server([] { return std::make_unique<Echo>(); }, "127.0.0.1", 0);
        Told told;
        auto factory = [&] { return std::make_unique<Recorder>(told); };
        auto [transport, protocol] =
            co_await loop.create_connection(factory, "127.0.0.1", port_of(server));
        EXPECT_EQ(told.events, "m");
        EXPECT_EQ(transport->get_protocol(), protocol.get());
        transport->write("echo this");
        co_await expect_data(told, "echo this");
        EXPECT_EQ(transport->peername().port(), port_of(server));
        transport->close();
        co_await expect_lost(told);
        EXPECT_EQ(told.events, "mdl");
        EXPECT_EQ(told.error, "");
        server.close();
        co_await server.wait_closed();
    });
}

TEST(CreateConnection, CONN_14_CONN_15_accepted_sockets_and_unix_ones) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const std::string name =
            std::string(1, '\0') + "asyncio-create-" + std::to_string(::getpid());
        Server server =
            co_await loop.create_unix_server([] { return std::make_shared<Echo>(); }, name);
        Told told;
        auto factory = [&] { return std::make_shared<Recorder>(told); };
        auto [transport, protocol] = co_await loop.create_unix_connection(factory, name);
        transport->write("unix");
        co_await expect_data(told, "unix");
        transport->close();
        co_await expect_lost(told);
        const Fd datagram(os::datagram_socket(AF_INET));
        const auto refused =
            co_await as_outcome(loop.connect_accepted_socket(factory, datagram.get()));
        EXPECT_EQ(error_of(refused), "std::invalid_argument: A Stream Socket was expected");
        EXPECT_GE(::fcntl(datagram.get(), F_GETFD), 0);
        server.close();
        co_await server.wait_closed();
    });
}

TEST(CreateServer, a_factory_that_throws_costs_one_connection) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        testing::ErrorLog errors(loop);
        int made = 0;
        auto factory = [&]() -> std::unique_ptr<Echo> {
            if (++made == 1) throw std::runtime_error("not yet");
            return std::make_unique<Echo>();
        };
        Server server = co_await loop.create_server(factory, "127.0.0.1", 0);
        auto first = co_await open_connection("127.0.0.1", port_of(server));
        const auto ended = co_await as_outcome(first.first.read());
        EXPECT_TRUE(!ended || ended->empty());
        auto second = co_await open_connection("127.0.0.1", port_of(server));
        second.second.write("x");
        const std::string answer = co_await second.first.readexactly(1);
        EXPECT_EQ(answer, "x");
        first.second.close();
        second.second.close();
        server.close();
        co_await server.wait_closed();
    });
}

/// TLS that cannot be set up.
class NoSecurity final : public stream::SecureContext {
  public:
    Shared<const stream::SecureContext> share() const override {
        return std::make_shared<NoSecurity>();
    }
    Ref<stream::SecureLayer> wrap(Ref<stream::Protocol>,
                                  const stream::SecureOptions&) const override {
        throw std::invalid_argument("no security");
    }
};

TEST(CreateConnection,
     CONN_06_a_failure_after_the_connect_leaves_nothing_with_the_descriptors_number) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        const std::uint16_t port = port_of(server);
        const NoSecurity security;
        ConnectOptions options;
        options.ssl = &security;
        auto failing = []() -> std::unique_ptr<Echo> { throw std::runtime_error("no protocol"); };
        for (int kind = 0; kind < 3; ++kind) {
            auto fail = [&]() -> Coro<> {
                if (kind == 0) (void)co_await open_connection("127.0.0.1", port, options);
                if (kind == 1)
                    (void)co_await loop.create_connection(Echo::make, "127.0.0.1", port, options);
                if (kind == 2) (void)co_await loop.create_connection(failing, "127.0.0.1", port);
            };
            const auto outcome = co_await as_outcome(fail());
            EXPECT_FALSE(outcome) << kind;
            // The next socket has the number of the one that was closed, and must be watched anew.
            const std::string answer = co_await ask(port, "the same number");
            EXPECT_EQ(answer, "the same number") << kind;
        }
        co_await end(server);
    });
}

}  // namespace
}  // namespace asyncio
