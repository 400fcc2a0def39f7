// SPDX-License-Identifier: MIT
//
// Datagrams awaited: each behaviour of area DGM that can be seen so, the bound of what is kept,
// errors that pass, and cancelling at every moment.
#include <asyncio/net/datagram_endpoint.hpp>
#include <asyncio/net/net_fixture_test.hpp>

#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

ASYNCIO_CORO_WRAPPER Coro<DatagramEndpoint> local_endpoint() {
    return open_datagram({.local = {"127.0.0.1", 0}});
}

Coro<DatagramEndpoint> endpoint_to(SocketAddress remote) {
    const std::string host = remote.host();
    DatagramOptions options;
    options.remote = {host, remote.port()};
    DatagramEndpoint endpoint = co_await open_datagram(options);
    co_return endpoint;
}

/// A port of the loopback nobody listens on.
SocketAddress nobody() {
    SocketAddress address = loopback(0);
    const Fd fd(os::datagram_socket(AF_INET));
    EXPECT_EQ(os::bind(fd.get(), address), 0);
    EXPECT_EQ(os::local_address(fd.get(), address), 0);
    return address;
}

TEST(DatagramEndpoint, DGM_01_bound_and_connected_endpoints_talk) {
    testing::run([]() -> Coro<> {
        const int before = open_descriptors();
        {
            DatagramEndpoint server = co_await local_endpoint();
            DatagramEndpoint client = co_await endpoint_to(server.sockname());
            co_await client.sendto("question");
            auto [bytes, from] = co_await server.recvfrom();
            EXPECT_EQ(bytes, "question");
            EXPECT_EQ(from, client.sockname());
            co_await server.sendto(bytes + "?", from);
            const auto answer = co_await client.recvfrom();
            EXPECT_EQ(answer.first, "question?");
            EXPECT_EQ(answer.second, server.sockname());
            EXPECT_EQ(client.peername(), server.sockname());
            EXPECT_EQ(server.peername().family(), 0);
            server.close();
            client.close();
            EXPECT_TRUE(server.is_closing());
            co_await server.wait_closed();
            co_await client.wait_closed();
        }
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(DatagramEndpoint, DGM_02_the_address_must_be_given_or_be_the_remote_one) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint server = co_await local_endpoint();
        DatagramEndpoint client = co_await endpoint_to(server.sockname());
        const auto missing = co_await as_outcome(server.sendto("x"));
        EXPECT_EQ(error_of(missing),
                  "std::invalid_argument: sendto: an endpoint without a remote "
                  "address needs one");
        const auto other = co_await as_outcome(client.sendto("x", loopback(1)));
        EXPECT_EQ(error_of(other), "std::invalid_argument: Invalid address: must be none or " +
                                       server.sockname().to_string());
        co_await client.sendto("same", server.sockname());
        const auto got = co_await server.recvfrom();
        EXPECT_EQ(got.first, "same");
    });
}

TEST(DatagramEndpoint, DGM_03_empty_datagrams_are_datagrams) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint server = co_await local_endpoint();
        DatagramEndpoint client = co_await endpoint_to(server.sockname());
        co_await client.sendto("");
        co_await client.sendto("x");
        const auto first = co_await server.recvfrom();
        const auto second = co_await server.recvfrom();
        EXPECT_EQ(first.first, "");
        EXPECT_EQ(first.second, client.sockname());
        EXPECT_EQ(second.first, "x");
    });
}

TEST(DatagramEndpoint, DGM_04_a_refusal_does_not_end_the_endpoint) {
    testing::run([]() -> Coro<> {
        const SocketAddress address = nobody();
        DatagramEndpoint client = co_await endpoint_to(address);
        co_await client.sendto("anybody?");
        const auto refused = co_await as_outcome(client.recvfrom());
        EXPECT_EQ(error_of(refused), "std::system_error: receive: Connection refused");
        const std::string host = address.host();
        DatagramOptions options;
        options.local = {host, address.port()};
        DatagramEndpoint late = co_await open_datagram(options);
        co_await client.sendto("now?");
        const auto got = co_await late.recvfrom();
        EXPECT_EQ(got.first, "now?");
        co_await late.sendto("yes", got.second);
        const auto answer = co_await client.recvfrom();
        EXPECT_EQ(answer.first, "yes");
    });
}

TEST(DatagramEndpoint, DGM_04_an_unconnected_endpoint_hears_of_no_refusal) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint one = co_await local_endpoint();
        DatagramEndpoint two = co_await local_endpoint();
        const SocketAddress address = nobody();
        for (int i = 0; i < 3; ++i) co_await one.sendto("anybody?", address);
        co_await two.sendto("me", one.sockname());
        const auto got = co_await one.recvfrom();
        EXPECT_EQ(got.first, "me");
    });
}

TEST(DatagramEndpoint, DGM_05_an_existing_socket_is_taken_over) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint server = co_await local_endpoint();
        Fd made(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        os::connect(made.get(), server.sockname());
        DatagramOptions options;
        options.sock = made.get();
        options.reuse_port = true;
        EXPECT_THROW((void)open_datagram(options), std::invalid_argument);
        options.reuse_port = false;
        DatagramEndpoint client = co_await open_datagram(options);
        (void)made.release();
        co_await client.sendto("x");
        const auto got = co_await server.recvfrom();
        EXPECT_EQ(got.first, "x");

        const Fd stream(os::stream_socket(AF_INET));
        options.sock = stream.get();
        const auto wrong = co_await as_outcome(open_datagram(options));
        EXPECT_EQ(error_of(wrong), "std::invalid_argument: A Datagram Socket was expected");
        EXPECT_GE(::fcntl(stream.get(), F_GETFD), 0);
    });
}

TEST(DatagramEndpoint, DGM_06_a_family_is_enough_but_something_is_needed) {
    testing::run([]() -> Coro<> {
        EXPECT_THROW((void)open_datagram({}), std::invalid_argument);
        DatagramEndpoint server = co_await local_endpoint();
        DatagramEndpoint client = co_await open_datagram({.family = AF_INET});
        EXPECT_EQ(client.sockname().port(), 0);
        co_await client.sendto("unbound", server.sockname());
        const auto got = co_await server.recvfrom();
        EXPECT_EQ(got.first, "unbound");
        co_await server.sendto("bound by now", got.second);
        const auto answer = co_await client.recvfrom();
        EXPECT_EQ(answer.first, "bound by now");
    });
}

TEST(DatagramEndpoint, DGM_07_addresses_must_have_a_family_in_common) {
    testing::run([]() -> Coro<> {
        const int before = open_descriptors();
        const auto mixed =
            co_await as_outcome(open_datagram({.local = {"127.0.0.1", 0}, .remote = {"::1", 1}}));
        EXPECT_EQ(error_of(mixed), "std::invalid_argument: can not get address information");
        DatagramEndpoint taken = co_await local_endpoint();
        const std::string host = taken.sockname().host();
        DatagramOptions options;
        options.local = {host, taken.sockname().port()};
        const auto twice = co_await as_outcome(open_datagram(options));
        EXPECT_EQ(error_of(twice), "std::system_error: bind on address " +
                                       taken.sockname().to_string() + ": Address already in use");
        EXPECT_EQ(open_descriptors(), before + 1);
        const auto shared =
            co_await as_outcome(open_datagram({.local = {"127.0.0.1", 0}, .reuse_port = true}));
        EXPECT_TRUE(shared);
    });
}

TEST(DatagramEndpoint, DGM_08_allow_broadcast_sets_the_option_and_does_not_connect) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint endpoint =
            co_await open_datagram({.remote = {"127.255.255.255", 9}, .allow_broadcast = true});
        EXPECT_EQ(endpoint.socket().getsockopt(os::SocketOption::broadcast), 1);
        EXPECT_THROW((void)endpoint.socket().getpeername(), std::system_error);
        EXPECT_EQ(endpoint.peername().to_string(), "127.255.255.255:9");
        co_await endpoint.sendto("to all");
        const auto other = co_await as_outcome(endpoint.sendto("x", loopback(9)));
        EXPECT_FALSE(other);
    });
}

TEST(DatagramEndpoint, DGM_09_unix_datagrams_and_stale_files) {
    testing::run([]() -> Coro<> {
        std::string directory = "/tmp/asyncio-datagram-XXXXXX";
        EXPECT_NE(::mkdtemp(directory.data()), nullptr);
        const std::string path = directory + "/a.sock";
        const std::string other = directory + "/b.sock";
        {
            DatagramOptions here;
            here.local = {path, 0};
            DatagramEndpoint stale = co_await open_datagram(here);
            stale.close();
            co_await stale.wait_closed();
            DatagramEndpoint server = co_await open_datagram(here);
            DatagramOptions there;
            there.local = {other, 0};
            there.remote = {path, 0};
            there.family = AF_UNIX;
            DatagramEndpoint client = co_await open_datagram(there);
            co_await client.sendto("over unix");
            const auto got = co_await server.recvfrom();
            EXPECT_EQ(got.first, "over unix");
            EXPECT_EQ(got.second.host(), other);
            co_await server.sendto("back", got.second);
            const auto answer = co_await client.recvfrom();
            EXPECT_EQ(answer.first, "back");
        }
        ::unlink(path.c_str());
        ::unlink(other.c_str());
        ::rmdir(directory.c_str());
    });
}

TEST(DatagramEndpoint, DGM_10_what_the_system_has_no_room_for_is_kept_in_order) {
    testing::run([]() -> Coro<> {
        int pair[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
        const Fd peer(pair[1]);
        DatagramOptions options;
        options.sock = pair[0];
        DatagramEndpoint endpoint = co_await open_datagram(options);
        int sent = 0;
        auto sender = [](DatagramEndpoint& e, int& n) -> Coro<> {
            for (; n < 400; ++n) co_await e.sendto(std::to_string(n) + std::string(1000, '.'));
        };
        Task<> sending = create_task(sender(endpoint, sent));
        for (int i = 0; i < 50; ++i) co_await sleep(0s);
        EXPECT_FALSE(sending.done());  // it waits in sendto
        EXPECT_GT(endpoint.transport().get_write_buffer_size(), 65536u);
        EXPECT_LE(endpoint.transport().get_write_buffer_size(), 65536u + 1012u);
        std::vector<std::string> got;
        auto all = [&] {
            for (std::string one = raw_receive(peer); !one.empty(); one = raw_receive(peer))
                got.push_back(one.substr(0, one.find('.')));
            return got.size() == 400;
        };
        EXPECT_TRUE(co_await until(all));
        co_await sending;
        for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], std::to_string(i));
    });
}

TEST(DatagramEndpoint, DGM_11_close_sends_what_is_kept_and_abort_drops_it) {
    testing::run([]() -> Coro<> {
        for (const bool abort : {false, true}) {
            int pair[2];
            EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
            const Fd peer(pair[1]);
            DatagramOptions options;
            options.sock = pair[0];
            DatagramEndpoint endpoint = co_await open_datagram(options);
            DatagramTransport& transport = endpoint.transport();
            for (int i = 0; i < 1000; ++i) transport.sendto(std::string(100, 'x'));
            EXPECT_GT(transport.get_write_buffer_size(), 0u);
            if (abort)
                endpoint.abort();
            else
                endpoint.close();
            std::size_t got = 0;
            auto closed = [&] {
                for (std::string one = raw_receive(peer); !one.empty(); one = raw_receive(peer))
                    ++got;
                return transport.fileno() < 0;
            };
            EXPECT_TRUE(co_await until(closed));
            closed();
            EXPECT_EQ(got == 1000, !abort);
        }
    });
}

TEST(DatagramEndpoint, what_cannot_be_sent_is_thrown_by_its_sendto) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint endpoint = co_await local_endpoint();
        const std::string large(70'000, 'x');
        const auto outcome = co_await as_outcome(endpoint.sendto(large, loopback(9)));
        EXPECT_EQ(error_of(outcome), "std::system_error: sendto 127.0.0.1:9: Message too long");
        co_await endpoint.sendto("still there", endpoint.sockname());
        const auto got = co_await endpoint.recvfrom();
        EXPECT_EQ(got.first, "still there");
    });
}

TEST(DatagramEndpoint, what_nobody_reads_is_kept_up_to_the_limit) {
    testing::run([]() -> Coro<> {
        DatagramOptions options;
        options.local = {"127.0.0.1", 0};
        options.receive_limit = 20'000;
        DatagramEndpoint server = co_await open_datagram(options);
        DatagramEndpoint client = co_await endpoint_to(server.sockname());
        for (int i = 0; i < 100; ++i) {
            co_await client.sendto(std::to_string(i) + std::string(800, '.'));
            co_await sleep(0s);
        }
        for (int i = 0; i < 20; ++i) co_await sleep(0s);
        EXPECT_FALSE(server.transport().is_reading());
        for (int i = 0; i < 100; ++i) {  // the rest waited in the system
            const auto got = co_await server.recvfrom();
            EXPECT_EQ(got.first.substr(0, got.first.find('.')), std::to_string(i));
        }
        EXPECT_TRUE(server.transport().is_reading());
    });
}

TEST(DatagramEndpoint, several_tasks_share_the_datagrams) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint server = co_await local_endpoint();
        DatagramEndpoint client = co_await endpoint_to(server.sockname());
        std::vector<std::string> got;
        auto worker = [&]() -> Coro<> {
            for (int i = 0; i < 10; ++i) {
                auto [bytes, from] = co_await server.recvfrom();
                got.push_back(bytes);
            }
        };
        std::vector<Task<>> workers;
        for (int i = 0; i < 4; ++i) workers.push_back(create_task(worker()));
        for (int i = 0; i < 40; ++i) {
            co_await client.sendto(std::to_string(i));
            if (i % 5 == 0) co_await sleep(0s);
        }
        for (Task<>& task : workers) co_await task;
        EXPECT_EQ(got.size(), 40u);
    });
}

TEST(DatagramEndpoint, cancelling_a_receive_loses_no_datagram) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint server = co_await local_endpoint();
        DatagramEndpoint client = co_await endpoint_to(server.sockname());
        int next = 0;
        auto reader = [](DatagramEndpoint& e) -> Coro<std::string> {
            auto got = co_await e.recvfrom();
            co_return got.first;
        };
        for (int i = 0; i < 200; ++i) {
            Task<std::string> task = create_task(reader(server));
            co_await sleep(0s);
            co_await client.sendto(std::to_string(i));
            for (int turn = 0; turn < i % 4; ++turn) co_await sleep(0s);
            task.cancel();
            const auto outcome = co_await as_outcome(std::move(task));
            if (outcome) {
                EXPECT_EQ(*outcome, std::to_string(next++));
            }
            while (next <= i) {
                const auto got = co_await server.recvfrom();
                EXPECT_EQ(got.first, std::to_string(next++));
            }
        }
    });
}

TEST(DatagramEndpoint, after_close_both_directions_fail) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint endpoint = co_await local_endpoint();
        auto reader = [](DatagramEndpoint& e) -> Coro<> { (void)co_await e.recvfrom(); };
        Task<> waiting = create_task(reader(endpoint));
        co_await sleep(0s);
        endpoint.close();
        endpoint.close();
        const auto waited = co_await as_outcome(std::move(waiting));
        const auto sending = co_await as_outcome(endpoint.sendto("x", loopback(9)));
        co_await endpoint.wait_closed();
        const auto receiving = co_await as_outcome(endpoint.recvfrom());
        const std::string closed =
            "std::system_error: the datagram endpoint is closed: Bad file descriptor";
        EXPECT_EQ(error_of(waited), closed);
        EXPECT_EQ(error_of(sending), closed);
        EXPECT_EQ(error_of(receiving), closed);
    });
}

TEST(DatagramEndpoint, the_loop_may_close_under_it) {
    const int before = open_descriptors();
    {
        EventLoop loop;
        auto use = [](EventLoop& l) -> Coro<> {
            DatagramEndpoint endpoint = co_await local_endpoint();
            l.call_soon([&l] { l.stop(); });
            (void)co_await endpoint.recvfrom();
        };
        EXPECT_THROW(loop.run_until_complete(use(loop)), std::logic_error);
        loop.close();
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(DatagramEndpoint, multicast_reaches_who_joined) {
    testing::run([]() -> Coro<> {
        DatagramEndpoint member = co_await open_datagram({.local = {"0.0.0.0", 0}});
        DatagramEndpoint sender = co_await local_endpoint();
        try {
            member.join_group("239.255.7.7", "lo");
            sender.transport().set_multicast_interface("lo");
        } catch (const std::system_error& error) {
            GTEST_LOG_(INFO) << "no multicast here: " << error.what();
            co_return;
        }
        sender.transport().set_multicast_ttl(0);
        sender.transport().set_multicast_loop(true);
        const SocketAddress group = *SocketAddress::parse("239.255.7.7", member.sockname().port());
        co_await sender.sendto("to the group", group);
        const auto got = co_await member.recvfrom();
        EXPECT_EQ(got.first, "to the group");
        member.leave_group("239.255.7.7", "lo");
        EXPECT_THROW(member.leave_group("239.255.7.7", "lo"), std::system_error);
        EXPECT_THROW(member.join_group("nonsense"), std::invalid_argument);
        EXPECT_THROW(member.join_group("239.255.7.7", "no-such-if"), std::system_error);
    });
}

// --- the callback level ------------------------------------------------------------------------

struct Told {
    std::string events;
    std::vector<std::string> data;
    std::string error;
};

class Recorder final : public DatagramProtocol {
  public:
    Recorder(Told& told, bool throws) : told_(told), throws_(throws) {}
    void connection_made(DatagramTransport&) override { told_.events += 'm'; }
    void datagram_received(std::span<const std::byte> data, const SocketAddress&) override {
        told_.events += 'd';
        told_.data.emplace_back(as_text(data));
        if (throws_) throw std::runtime_error("oops");
    }
    void error_received(std::exception_ptr error) override {
        told_.events += 'e';
        told_.error = describe(error);
    }
    void connection_lost(std::exception_ptr error) override {
        told_.events += 'l';
        if (error) told_.error = describe(error);
    }

  private:
    Told& told_;
    bool throws_;
};

TEST(DatagramTransport, DGM_01_DGM_11_protocols_are_called_in_order) {
    testing::run([]() -> Coro<> {
        Told told;
        auto factory = [&] { return std::make_unique<Recorder>(told, false); };
        auto [transport, protocol] = co_await get_running_loop().create_datagram_endpoint(
            factory, {.local = {"127.0.0.1", 0}});
        EXPECT_EQ(told.events, "m");
        transport->sendto("to myself", transport->sockname());
        auto received = [&] { return told.data.size() == 1; };
        EXPECT_TRUE(co_await until(received));
        EXPECT_EQ(told.data.at(0), "to myself");
        transport->close();
        transport->close();
        auto lost = [&] { return told.events.ends_with('l'); };
        EXPECT_TRUE(co_await until(lost));
        transport->sendto("ignored", loopback(9));
        transport->abort();
        EXPECT_EQ(told.events, "mdl");
        EXPECT_EQ(told.error, "");
    });
}

TEST(DatagramTransport, DGM_12_errors_of_the_system_pass_and_those_of_the_protocol_are_fatal) {
    testing::run([]() -> Coro<> {
        Told told;
        auto factory = [&] { return std::make_shared<Recorder>(told, true); };
        const SocketAddress address = nobody();
        const std::string host = address.host();
        DatagramOptions options;
        options.remote = {host, address.port()};
        auto [transport, protocol] =
            co_await get_running_loop().create_datagram_endpoint(factory, options);
        transport->sendto("anybody?");
        auto refused = [&] { return !told.error.empty(); };
        EXPECT_TRUE(co_await until(refused));
        EXPECT_EQ(told.error, "std::system_error: receive: Connection refused");
        EXPECT_FALSE(transport->is_closing());

        testing::ErrorLog errors(get_running_loop());
        Fd late(os::datagram_socket(AF_INET));
        EXPECT_EQ(os::bind(late.get(), address), 0);
        EXPECT_EQ(::sendto(late.get(), "x", 1, 0, transport->sockname().raw(),
                           transport->sockname().size()),
                  1);
        auto lost = [&] { return told.events.ends_with('l'); };
        EXPECT_TRUE(co_await until(lost));
        EXPECT_EQ(told.error, "std::runtime_error: oops");
    });
}

}  // namespace
}  // namespace asyncio
