// SPDX-License-Identifier: MIT
//
// Protocols on transports: area TRN.
#include <asyncio/base/context_var.hpp>
#include <asyncio/net/protocol_fixture_test.hpp>
#include <asyncio/stream/bytes.hpp>

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

/// Wants one piece at a time.
class Choosy final : public Recorder {
  public:
    using Recorder::Recorder;
    void connection_made(Transport& transport) override {
        Recorder::connection_made(transport);
        transport.pause_reading();
    }
    void data_received(std::span<const std::byte> data) override {
        EXPECT_TRUE(transport_->is_reading());
        Recorder::data_received(data);
        transport_->pause_reading();
    }
};

/// As much as the system takes, of `most` bytes.
std::string fill_socket(const Fd& raw, std::size_t most) {
    std::string sent(most, '\0');
    for (std::size_t i = 0; i < most; ++i) sent[i] = static_cast<char>('a' + i * 7 / 3 % 26);
    std::size_t count = 0;
    for (std::ptrdiff_t taken = 1; taken > 0 && count < most;) {
        const auto rest = std::string_view(sent).substr(count);
        taken = os::try_send(raw.get(), stream::bytes_of(rest));
        if (taken > 0) count += static_cast<std::size_t>(taken);
    }
    sent.resize(count);
    return sent;
}

TEST(Transport, TRN_12_nothing_is_told_while_reading_is_paused) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<Choosy> connection = co_await link<Choosy>(told);
        Transport& transport = *connection.transport;
        // So much that io_uring has more of it than the one piece when it is asked to stop.
        const std::string sent = fill_socket(connection.raw, 1 << 20);
        EXPECT_GT(sent.size(), 3u * 65536);
        ::shutdown(connection.raw.get(), SHUT_WR);
        const auto is_paused = [&] { return !transport.is_reading(); };
        int pieces = 0;
        while (told.events == "m" || told.events == "md") {
            const std::size_t before = told.data.size();
            transport.resume_reading();
            EXPECT_EQ(told.data.size(), before);  // not within the call
            const bool told_one = co_await until(is_paused);
            EXPECT_TRUE(told_one);
            ++pieces;
        }
        EXPECT_GT(pieces, 3);
        EXPECT_TRUE(told.data == sent);
        co_await expect_lost(told);
        EXPECT_EQ(told.events, "mdel");
    });
}

TEST(Transport, TRN_12_who_reads_slowly_is_sent_no_more_than_there_is_room_for) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<Choosy> connection = co_await link<Choosy>(told);
        Transport& transport = *connection.transport;
        const auto is_paused = [&] { return !transport.is_reading(); };
        constexpr std::size_t most = 1 << 20;
        std::size_t sent = 0;
        for (int i = 0; i < 60; ++i) {
            sent += fill_socket(connection.raw, most).size();
            transport.resume_reading();
            const bool told_one = co_await until(is_paused);
            EXPECT_TRUE(told_one);
        }
        // The system's buffers on both sides, and io_uring's.
        EXPECT_LT(sent - told.data.size(), 16 * most);
        transport.abort();
        co_await expect_lost(told);
    });
}

TEST(Transport, TRN_12_what_came_with_a_pause_goes_to_who_reads_next) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<Choosy> connection = co_await link<Choosy>(told);
        const std::string sent = fill_socket(connection.raw, 1 << 20);
        ::shutdown(connection.raw.get(), SHUT_WR);
        connection.transport->resume_reading();
        const auto some = [&] { return !told.data.empty(); };
        const bool came = co_await until(some);
        EXPECT_TRUE(came);
        const Ref<stream::StreamCore> core(new stream::StreamCore(1 << 21));
        core->connection_made(*connection.transport);
        connection.transport->set_protocol(core);
        connection.transport->resume_reading();
        StreamReader reader(core);
        const std::string rest = co_await reader.read();
        EXPECT_TRUE(told.data + rest == sent);
        connection.transport->abort();
        co_await sleep(0s);
        co_await sleep(0s);
    });
}

TEST(Transport, TRN_12_what_came_with_a_pause_goes_with_the_connection) {
    testing::run([]() -> Coro<> {
        for (const bool resumed : {false, true}) {
            Told told;
            Link<Choosy> connection = co_await link<Choosy>(told);
            (void)fill_socket(connection.raw, 1 << 20);
            connection.transport->resume_reading();
            const auto some = [&] { return !told.data.empty(); };
            const bool came = co_await until(some);
            EXPECT_TRUE(came);
            for (int i = 0; i < 5; ++i) co_await sleep(0s);
            const std::size_t before = told.data.size();
            if (resumed) connection.transport->resume_reading();  // its turn is queued
            connection.transport->abort();
            co_await expect_lost(told);
            EXPECT_EQ(told.events, "mdl");
            EXPECT_EQ(told.data.size(), before);
        }
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
