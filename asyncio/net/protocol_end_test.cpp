// SPDX-License-Identifier: MIT
//
// How the connection of a protocol ends: area TRN.
#include <asyncio/net/protocol_fixture_test.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include <fcntl.h>

namespace asyncio {
namespace {

using namespace net_tests;

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

}  // namespace
}  // namespace asyncio
