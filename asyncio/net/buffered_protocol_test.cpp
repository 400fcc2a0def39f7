// SPDX-License-Identifier: MIT
//
// Protocols that have their own memory filled (area BUF), and protocols that take each other's
// place.
#include <asyncio/net/protocol_fixture_test.hpp>
#include <asyncio/stream/leaving_fixture_test.hpp>

#include <memory>
#include <string>

#include <sys/socket.h>

namespace asyncio {
namespace {

using namespace net_tests;

/// Gives its memory out in pieces of `piece` bytes.
class Buffered final : public BufferedProtocol {
  public:
    explicit Buffered(Told& told) : told_(told) {}
    void connection_made(Transport&) override { told_.events += 'm'; }
    std::span<std::byte> get_buffer(std::ptrdiff_t size_hint) override {
        EXPECT_NE(size_hint, 0);
        return std::span(memory_).first(piece);
    }
    void buffer_updated(std::size_t count) override {
        told_.events += 'd';
        told_.data += as_text(std::span(memory_).first(count));
    }
    bool eof_received() override {
        told_.events += 'e';
        return false;
    }
    void connection_lost(std::exception_ptr error) override {
        told_.events += 'l';
        if (error) told_.error = describe(error);
    }

    std::size_t piece = 64;

  private:
    Told& told_;
    std::byte memory_[64] = {};
};

TEST(BufferedProtocol, BUF_01_BUF_04_data_goes_into_the_protocols_memory) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<Buffered> connection = co_await link<Buffered>(told);
        raw_send(connection.raw, "into my memory");
        co_await expect_data(told, "into my memory");
        connection.raw.reset();
        co_await expect_lost(told);
        EXPECT_EQ(told.events, "mdel");
    });
}

TEST(BufferedProtocol, BUF_02_no_memory_ends_the_connection) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        Told told;
        Link<Buffered> connection = co_await link<Buffered>(told);
        connection.protocol->piece = 0;
        raw_send(connection.raw, "x");
        co_await expect_lost(told);
        EXPECT_EQ(told.error, "std::logic_error: get_buffer() returned an empty buffer");
    });
}

TEST(BufferedProtocol, BUF_03_more_than_fits_comes_in_rounds) {
    testing::run([]() -> Coro<> {
        Told told;
        Link<Buffered> connection = co_await link<Buffered>(told);
        connection.protocol->piece = 3;
        raw_send(connection.raw, "0123456789");
        co_await expect_data(told, "0123456789");
        EXPECT_EQ(told.events, "mdddd");
        connection.transport->close();
        co_await expect_lost(told);
    });
}

class Switches final : public Recorder {
  public:
    Switches(Told& told, Told& next) : Recorder(told), next_(next) {}
    void data_received(std::span<const std::byte> data) override {
        Recorder::data_received(data);
        transport_->set_protocol(Ref<Buffered>(new Buffered(next_)));
        told_.events += "!";  // this must still be alive
    }

  private:
    Told& next_;
};

TEST(Transport, TRN_22_the_protocol_can_be_replaced_also_by_a_buffered_one) {
    testing::run([]() -> Coro<> {
        Told first;
        Told second;
        auto sockets = tcp_pair();
        auto factory = [&] { return std::make_unique<Switches>(first, second); };
        auto transport =
            (co_await get_running_loop().connect_accepted_socket(factory, sockets.first.release()))
                .first;
        raw_send(sockets.second, "one");
        co_await expect_data(first, "one");
        EXPECT_EQ(first.protocols, 0);  // gone
        raw_send(sockets.second, "two");
        co_await expect_data(second, "two");
        sockets.second.reset();
        co_await expect_lost(second);
        EXPECT_EQ(first.events, "md!");
        EXPECT_EQ(second.events, "del");
    });
}

TEST(Transport, TRN_22_a_protocol_that_is_replaced_in_its_own_callback_lives_until_that_returns) {
    testing::run([]() -> Coro<> {
        for (const std::string when : {"made", "data", "eof", "pause", "resume"}) {
            Told told;
            std::string log;
            auto sockets = tcp_pair();
            os::set_option(sockets.first.get(), os::SocketOption::send_buffer, 4096);
            const Ref<net::SocketTransport> transport = net::SocketTransport::open(
                get_running_loop(), std::move(sockets.first),
                Ref<stream::Protocol>(new Leaving(when, Ref<Recorder>(new Recorder(told)), log)));
            if (when == "data") raw_send(sockets.second, "data");
            if (when == "eof") os::shutdown(sockets.second.get(), os::Shutdown::write);
            if (when == "pause" || when == "resume") transport->write(std::string(1 << 20, 'x'));
            auto left = [&] {
                (void)raw_receive(sockets.second);
                return !log.empty();
            };
            const bool done = co_await until(left);
            EXPECT_TRUE(done) << when;
            EXPECT_EQ(log, "left destroyed") << when;
            transport->abort();
            co_await expect_lost(told);
        }
    });
}

}  // namespace
}  // namespace asyncio
