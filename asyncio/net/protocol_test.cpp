// SPDX-License-Identifier: MIT
//
// Protocols on transports: area TRN.
#include <asyncio/base/context_var.hpp>
#include <asyncio/net/protocol_fixture_test.hpp>

#include <csignal>
#include <memory>
#include <string>

#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace asyncio {
namespace {

using namespace net_tests;

TEST(Transport, TRN_01_TRN_13_the_order_and_the_peers_end) {
    testing::run([]() -> Coro<> {
        for (const bool stay_open : {false, true}) {
            Told told;
            Link<> connection = co_await link(told);
            connection.protocol->stay_open = stay_open;
            raw_send(connection.raw, "data");
            ::shutdown(connection.raw.get(), SHUT_WR);
            auto ended = [&] { return told.events.find('e') != std::string::npos; };
            EXPECT_TRUE(co_await until(ended));
            EXPECT_EQ(connection.transport->is_closing(), !stay_open);
            if (stay_open) {
                EXPECT_FALSE(connection.transport->is_reading());
                connection.transport->write("still");
                connection.transport->close();
            }
            co_await expect_lost(told);
            EXPECT_EQ(told.events, "mdel");
            EXPECT_EQ(told.error, "");
        }
    });
}

class Pausing final : public Recorder {
  public:
    using Recorder::Recorder;
    void connection_made(Transport& transport) override {
        Recorder::connection_made(transport);
        transport.pause_reading();
    }
};

TEST(Transport, TRN_02_reading_begins_after_connection_made_unless_paused_there) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<Pausing> connection = co_await link<Pausing>(told);
        raw_send(connection.raw, "early");
        for (int i = 0; i < 20; ++i) co_await sleep(0s);
        EXPECT_EQ(told.events, "m");
        connection.transport->resume_reading();
        co_await expect_data(told, "early");
        connection.transport->abort();
        co_await expect_lost(told);
    });
}

TEST(Transport, TRN_12_pausing_is_idempotent_and_ignored_after_close) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<> connection = co_await link(told);
        Transport& transport = *connection.transport;
        for (int i = 0; i < 10; ++i) {
            transport.pause_reading();
            transport.pause_reading();
            EXPECT_FALSE(transport.is_reading());
            raw_send(connection.raw, "x");
            co_await sleep(0s);
            transport.resume_reading();
            transport.resume_reading();
            EXPECT_TRUE(transport.is_reading());
        }
        co_await expect_data(told, "xxxxxxxxxx");
        transport.close();
        transport.resume_reading();
        EXPECT_FALSE(transport.is_reading());
        co_await expect_lost(told);
        transport.resume_reading();
        transport.pause_reading();
        EXPECT_EQ(told.events, "mdl");
    });
}

/// A signal every millisecond, whose handler does not restart what it interrupts.
class Interruptions {
  public:
    Interruptions() {
        struct sigaction action = {};
        action.sa_handler = [](int) { count = count + 1; };
        ::sigaction(SIGALRM, &action, &before_);
        const itimerval every = {{0, 1000}, {0, 1000}};
        ::setitimer(ITIMER_REAL, &every, nullptr);
    }
    Interruptions(const Interruptions&) = delete;
    Interruptions& operator=(const Interruptions&) = delete;
    ~Interruptions() {
        const itimerval never = {};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::sigaction(SIGALRM, &before_, nullptr);
    }
    static inline volatile std::sig_atomic_t count = 0;

  private:
    struct sigaction before_ = {};
};

TEST(Transport, TRN_19_interrupted_calls_and_full_sockets_are_nobodys_business) {
    testing::run([]() -> Coro<> {
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        const Interruptions interruptions;
        const int before = Interruptions::count;
        std::string text(1 << 20, '\0');
        for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31 >> 3);
        for (int round = 0; round < 3 || Interruptions::count < before + 50; ++round) {
            auto streams = co_await open_connection("127.0.0.1", port_of(server));
            streams.second.write(text);
            streams.second.write_eof();
            const std::string answer = co_await streams.first.read();
            EXPECT_TRUE(answer == text) << answer.size();
            streams.second.close();
            co_await streams.second.wait_closed();
            if (::testing::Test::HasFailure()) break;
        }
        co_await end(server);
    });
}

TEST(Transport, CTX_04_callbacks_run_in_a_copy_of_the_context_the_connection_was_made_in) {
    static ContextVar<int> number(0);
    static std::string seen;
    class Seer final : public Protocol {
        void connection_made(Transport&) override { note("made"); }
        void data_received(std::span<const std::byte>) override { note("data"); }
        bool eof_received() override {
            note("eof");
            return false;
        }
        void connection_lost(std::exception_ptr) override { note("lost"); }
        static void note(std::string_view what) {
            seen += std::string(what) + std::to_string(number.get()) + " ";
            number.set(number.get() + 1);  // stays in the connection's own context
        }
    };
    testing::run([]() -> Coro<> {
        seen.clear();
        EventLoop& loop = get_running_loop();
        const RawListener listener;
        number.set(3);
        auto factory = [] { return std::make_unique<Seer>(); };
        auto both = co_await loop.create_connection(factory, "127.0.0.1", listener.address.port());
        number.set(50);
        Fd raw = listener.accept();
        raw_send(raw, "x");
        auto received = [] { return seen.find("data") != std::string::npos; };
        const bool was_received = co_await until(received);
        EXPECT_TRUE(was_received);
        raw.reset();
        auto lost = [] { return seen.find("lost") != std::string::npos; };
        const bool was_lost = co_await until(lost);
        EXPECT_TRUE(was_lost);
        EXPECT_EQ(seen, "made3 data4 eof5 lost6 ");
        EXPECT_EQ(number.get(), 50);
    });
}

TEST(Transport, TRN_23_nagles_algorithm_is_off) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<> connection = co_await link(told);
        EXPECT_EQ(
            TransportSocket(connection.transport->fileno()).getsockopt(os::SocketOption::no_delay),
            1);
        connection.transport->close();
        co_await expect_lost(told);
    });
}

template <class S>
concept MayHarm = requires(S s) { s.close(); } || requires(S s) { s.send(""); } ||
                  requires(S s) { s.setblocking(true); };

TEST(Transport, TRN_24_the_public_socket_cannot_be_closed_or_written) {
    static_assert(!MayHarm<TransportSocket>);
    EXPECT_THROW((void)TransportSocket(-1).getsockname(), std::system_error);
}

TEST(Protocol, a_shared_pointer_keeps_its_protocol_and_is_kept) {
    testing::run([]() -> Coro<> {
        Told told;
        auto shared = std::make_shared<Recorder>(told);
        std::weak_ptr<Recorder> weak = shared;
        auto sockets = tcp_pair();
        {
            auto both = co_await get_running_loop().connect_accepted_socket(
                [&] { return std::move(shared); }, sockets.first.release());
            EXPECT_FALSE(weak.expired());
            both.first->close();
        }
        co_await expect_lost(told);
        EXPECT_TRUE(weak.expired());
        EXPECT_EQ(told.protocols, 0);
    });
}

}  // namespace
}  // namespace asyncio
