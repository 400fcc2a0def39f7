// SPDX-License-Identifier: MIT
//
// Protocols on transports: area TRN.
#include <asyncio/base/context_var.hpp>
#include <asyncio/net/protocol_fixture_test.hpp>

#include <algorithm>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
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

TEST(Transport, TRN_03_TRN_04_TRN_06_everything_arrives_in_order_however_it_is_written) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<> connection = co_await link(told);
        std::string expected;
        for (int i = 0; i < 40; ++i) {
            std::vector<std::string> lines;
            for (int j = 0; j < 150; ++j) lines.push_back(std::string(i * j % 997, 'a' + j % 26));
            std::vector<std::span<const std::byte>> parts;
            for (const std::string& line : lines) {
                parts.push_back(bytes_of(line));
                expected += line;
            }
            connection.transport->writelines(parts);
            connection.transport->write("|");
            expected += "|";
        }
        std::string received;
        auto all = [&] {
            return (received += raw_receive(connection.raw)).size() == expected.size();
        };
        EXPECT_TRUE(co_await until(all));
        EXPECT_TRUE(received == expected);
        connection.transport->abort();
        co_await expect_lost(told);
    });
}

TEST(Transport, TRN_05_empty_writes_do_nothing) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<> connection = co_await link(told);
        connection.transport->write("");
        connection.transport->writelines({});
        EXPECT_EQ(connection.transport->get_write_buffer_size(), 0u);
        connection.transport->close();
        co_await expect_lost(told);
        EXPECT_EQ(told.events, "ml");
    });
}

TEST(Transport, a_single_write_is_sent_at_once_and_several_together) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<> connection = co_await link(told);
        Transport& transport = *connection.transport;
        const auto kept_of = [&](std::string_view data) {
            transport.write(data);
            return transport.get_write_buffer_size();
        };
        EXPECT_EQ(kept_of("a"), 0u);
        EXPECT_EQ(kept_of("b"), 1u);
        EXPECT_EQ(kept_of("c"), 2u);
        co_await sleep(Duration::zero());
        EXPECT_EQ(kept_of("d"), 1u);  // the last time there were several
        co_await sleep(Duration::zero());
        EXPECT_EQ(kept_of("e"), 0u);
        EXPECT_EQ(kept_of("f"), 1u);
        EXPECT_EQ(kept_of(std::string(10'000, 'g')), 0u);  // a large one takes them along
        std::string received;
        auto there = [&] { return (received += raw_receive(connection.raw)).size() >= 10'006; };
        EXPECT_TRUE(co_await until(there));
        EXPECT_EQ(received, "abcdef" + std::string(10'000, 'g'));
        connection.transport->close();
        co_await expect_lost(told);
    });
}

TEST(Transport, TRN_07_TRN_08_TRN_09_flow_control_is_paired_and_synchronous) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<> connection = co_await link(told);
        Transport& transport = *connection.transport;
        EXPECT_EQ(transport.get_write_buffer_limits().high, 65536u);
        EXPECT_EQ(transport.get_write_buffer_limits().low, 16384u);
        transport.set_write_buffer_limits(0);
        EXPECT_EQ(transport.get_write_buffer_limits().low, 0u);
        transport.write("w");  // sent, not queued
        EXPECT_EQ(told.events, "m");
        transport.write("x");
        EXPECT_EQ(told.events, "mp");
        transport.write("y");
        EXPECT_EQ(told.events, "mp");
        auto resumed = [&] { return told.events == "mpr"; };
        EXPECT_TRUE(co_await until(resumed));
        EXPECT_EQ(transport.get_write_buffer_size(), 0u);
        transport.write("z");
        EXPECT_EQ(told.events, "mprp");
        transport.set_write_buffer_limits(100);
        EXPECT_EQ(told.events, "mprpr");  // at once
        transport.close();
        co_await expect_lost(told);
    });
}

class ThrowsOnFlow final : public Recorder {
  public:
    using Recorder::Recorder;
    void pause_writing() override { throw std::runtime_error("pause"); }
    void resume_writing() override { throw std::runtime_error("resume"); }
};

TEST(Transport, TRN_10_what_flow_control_throws_is_reported_and_ignored) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        Told told;
        Link<ThrowsOnFlow> connection = co_await link<ThrowsOnFlow>(told);
        connection.transport->set_write_buffer_limits(0);
        connection.transport->write("x");
        connection.transport->write("y");  // queued
        std::string received;
        auto there = [&] { return (received += raw_receive(connection.raw)) == "xy"; };
        EXPECT_TRUE(co_await until(there));
        EXPECT_FALSE(connection.transport->is_closing());
        connection.transport->close();
        co_await expect_lost(told);
    });
}

class ActsOnResume final : public Recorder {
  public:
    using Recorder::Recorder;
    void resume_writing() override {
        Recorder::resume_writing();
        if (--writes >= 0) {
            transport_->write("mo");
            transport_->write("re");  // queued
        } else {
            transport_->close();
        }
    }
    int writes = 3;
};

TEST(Transport, TRN_11_resume_writing_may_write_or_close) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<ActsOnResume> connection = co_await link<ActsOnResume>(told);
        connection.transport->set_write_buffer_limits(0);
        connection.transport->write("x");
        connection.transport->write("y");  // queued
        co_await expect_lost(told);
        EXPECT_EQ(told.events, "mprprprprl");
        EXPECT_EQ(raw_receive(connection.raw), "xymoremoremore");
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

TEST(Transport, TRN_14_TRN_15_TRN_16_close_flushes_abort_drops_and_half_close_waits) {
    testing::run([]() -> Coro<> {
        for (const char end : {'c', 'a', 'e'}) {
            Told told;
            Link<> connection = co_await link(told);
            connection.protocol->stay_open = true;
            Transport& transport = *connection.transport;
            const std::string large(8 << 20, 'x');
            transport.write(large);
            EXPECT_GT(transport.get_write_buffer_size(), 0u);
            if (end == 'c') transport.close();
            if (end == 'a') transport.abort();
            if (end == 'e') transport.write_eof();
            EXPECT_FALSE(told.lost());  // never synchronously
            std::size_t received = 0;
            auto ended = [&] {
                for (std::string piece = raw_receive(connection.raw); !piece.empty();
                     piece = raw_receive(connection.raw))
                    received += piece.size();
                return raw_ended(connection.raw);
            };
            EXPECT_TRUE(co_await until(ended));
            EXPECT_EQ(received == large.size(), end != 'a');
            if (end == 'e') {
                EXPECT_THROW(transport.write("more"), std::logic_error);
                raw_send(connection.raw, "back");
                co_await expect_data(told, "back");
                transport.close();
                transport.write_eof();
            }
            co_await expect_lost(told);
            EXPECT_EQ(told.error, "");
        }
    });
}

TEST(Transport, TRN_17_TRN_18_errors_of_reading_and_writing_end_the_connection_once) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<> connection = co_await link(told);
        reset(connection.raw);
        co_await expect_lost(told);
        EXPECT_EQ(told.error, "std::system_error: receive: Connection reset by peer");

        Told writing;
        Link<> second = co_await link(writing);
        second.transport->pause_reading();
        reset(second.raw);
        auto lost = [&] {
            second.transport->write(std::string(10'000, 'x'));
            return writing.lost();
        };
        EXPECT_TRUE(co_await until(lost));
        EXPECT_NE(writing.error.find("send: "), std::string::npos) << writing.error;
        EXPECT_EQ(writing.events.find('l'), writing.events.size() - 1);
    });
}

class Throws final : public Recorder {
  public:
    using Recorder::Recorder;
    void data_received(std::span<const std::byte> data) override {
        Recorder::data_received(data);
        throw std::runtime_error("data");
    }
    void connection_lost(std::exception_ptr error) override {
        Recorder::connection_lost(error);
        throw std::runtime_error("lost");
    }
};

/// The states a connection can be in when its peer resets it.
constexpr std::string_view kStates[] = {
    "idle", "paused", "full", "closing with data", "half closed by us", "half closed by the peer"};

TEST(Transport, TRN_17_a_reset_in_any_state_ends_the_connection_once) {
    testing::run([]() -> Coro<> {
        const int before = open_descriptors();
        for (const std::string_view state : kStates) {
            Told told;
            {
                auto made = co_await link(told);
                Transport& transport = *made.transport;
                made.protocol->stay_open = true;
                if (state == "paused") transport.pause_reading();
                if (state == "full" || state == "closing with data")
                    transport.write(std::string(16 << 20, 'x'));
                if (state == "closing with data") transport.close();
                if (state == "half closed by us") transport.write_eof();
                if (state == "half closed by the peer") {
                    os::shutdown(made.raw.get(), os::Shutdown::write);
                    auto heard = [&] { return told.events.ends_with('e'); };
                    const bool ended = co_await until(heard);
                    EXPECT_TRUE(ended);
                }
                co_await sleep(0s);
                reset(made.raw);
                co_await sleep(0s);
                // Who does not look at the socket hears of it with the next thing it does.
                if (state == "paused") transport.resume_reading();
                for (int i = 0; i < 3 && state == "half closed by the peer"; ++i) {
                    transport.write("x");
                    co_await sleep(0s);
                }
                co_await expect_lost(told);
                EXPECT_EQ(std::ranges::count(told.events, 'l'), 1) << state;
                EXPECT_NE(told.error, "") << state;
            }
            co_await sleep(0s);
            EXPECT_EQ(told.protocols, 0) << state;
            EXPECT_EQ(open_descriptors(), before) << state;
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

TEST(Transport, TRN_20_TRN_21_what_a_protocol_throws_ends_its_connection) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        Told told;
        Link<Throws> connection = co_await link<Throws>(told);
        const int fd = connection.transport->fileno();
        raw_send(connection.raw, "x");
        co_await expect_lost(told);
        EXPECT_EQ(told.events, "mdl");
        EXPECT_EQ(told.error, "std::runtime_error: data");
        EXPECT_LT(::fcntl(fd, F_GETFD), 0);  // closed although connection_lost threw
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

TEST(Transport, TRN_26_unclosed_transports_end_with_the_loop) {
    const int before = open_descriptors();
    Told told;
    {
        Fd raw;
        EventLoop loop;
        auto open = [&]() -> Coro<> {
            Link<> connection = co_await link(told);
            raw = std::move(connection.raw);
        };
        loop.run_until_complete(open());
        loop.close();
    }
    EXPECT_EQ(told.events, "m");
    EXPECT_EQ(told.protocols, 0);
    EXPECT_EQ(open_descriptors(), before);
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
