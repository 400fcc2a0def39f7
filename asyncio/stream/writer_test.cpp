// SPDX-License-Identifier: MIT
//
// StreamWriter over a transport that moves nothing: flow control and the end of connections. What
// needs a socket is in net/.
#include <asyncio/stream/stream_fixture_test.hpp>
#include <asyncio/stream/writer.hpp>

#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace asyncio {
namespace {

using namespace stream_tests;

std::exception_ptr reset_error() {
    return std::make_exception_ptr(
        std::system_error(ECONNRESET, std::generic_category(), "receive"));
}

/// "" if drain() returned, else what it threw.
Coro<std::string> drain_result(StreamWriter& writer) {
    const auto outcome = co_await as_outcome(writer.drain());
    co_return outcome ? std::string() : describe(outcome.error());
}

const std::string kLost = "std::system_error: Connection lost: Connection reset by peer";

TEST(StreamWriter, WR_01_writes_in_order_and_never_suspends) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        bool other_ran = false;
        Task<> other = create_task([&]() -> Coro<> {
            other_ran = true;
            co_return;
        });
        for (int i = 0; i < 1000; ++i) writer.write(std::to_string(i) + ",");
        EXPECT_FALSE(other_ran);
        EXPECT_TRUE(connection.transport->buffer.starts_with("0,1,2,3,"));
        EXPECT_EQ(writer.write_buffer_size(), connection.transport->buffer.size());
        writer.close();
        co_await other;
    });
}

TEST(StreamWriter, WR_02_writelines_is_the_concatenation) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        const std::vector<std::string> lines = {"a", "", "bc", ""};
        writer.writelines(lines);
        writer.writelines(std::vector<std::string>());
        EXPECT_EQ(connection.transport->buffer, "abc");
        writer.close();
        co_return;
    });
}

TEST(StreamWriter, WR_03_drain_returns_at_once_up_to_the_high_water_mark) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        bool other_ran = false;
        Task<> other = create_task([&]() -> Coro<> {
            other_ran = true;
            co_return;
        });
        co_await writer.drain();
        writer.write(std::string(100, 'x'));
        co_await writer.drain();
        EXPECT_FALSE(other_ran);
        co_await other;
        writer.close();
    });
}

TEST(StreamWriter, WR_04_drain_waits_until_the_low_water_mark) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        writer.write(std::string(101, 'x'));
        Task<std::string> task = create_task(drain_result(writer));
        co_await sleep(0s);
        connection.transport->flush(75);  // 26 left
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_FALSE(task.done());
        connection.transport->flush(1);
        const std::string result = co_await task;
        EXPECT_EQ(result, "");
        writer.close();
    });
}

TEST(StreamWriter, WR_05_several_drains_wait_and_all_are_released) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        writer.write(std::string(200, 'x'));
        std::vector<Task<std::string>> tasks;
        for (int i = 0; i < 5; ++i) tasks.push_back(create_task(drain_result(writer)));
        co_await sleep(0s);
        tasks[2].cancel();  // leaves the others alone
        co_await sleep(0s);
        EXPECT_TRUE(tasks[2].done());
        EXPECT_FALSE(tasks[0].done());
        connection.transport->flush();
        for (Task<std::string>& task : tasks) {
            const auto outcome = co_await as_outcome(task);
            EXPECT_TRUE(outcome);
        }
        writer.close();
    });
}

TEST(StreamWriter, WR_06_drain_raises_the_error_of_the_reading_side) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        connection.reader.set_exception(std::make_exception_ptr(std::runtime_error("read side")));
        const std::string result = co_await drain_result(writer);
        EXPECT_EQ(result, "std::runtime_error: read side");
        writer.close();
    });
}

TEST(StreamWriter, WR_07_a_loop_of_write_and_drain_notices_the_loss) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        Task<int> task = create_task([&]() -> Coro<int> {
            for (int rounds = 0;; ++rounds) {
                writer.write("x");
                const std::string result = co_await drain_result(writer);
                if (result == kLost) co_return rounds;
                connection.transport->flush();
                if (rounds == 5) connection.transport->lose();
                if (rounds == 100) co_return rounds;
            }
        });
        const int rounds = co_await task;
        EXPECT_EQ(rounds, 6);
    });
}

TEST(StreamWriter, WR_07_drain_while_closing_yields_so_that_the_loss_can_come) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        writer.close();
        get_running_loop().call_soon([&] { connection.transport->lose(); });
        const std::string result = co_await drain_result(writer);
        EXPECT_EQ(result, kLost);
    });
}

TEST(StreamWriter, WR_08_losing_the_connection_releases_waiting_drains) {
    testing::run([]() -> Coro<> {
        for (const bool with_error : {false, true}) {
            FakeConnection connection;
            StreamWriter writer(connection.core);
            writer.write(std::string(200, 'x'));
            std::vector<Task<std::string>> tasks;
            for (int i = 0; i < 3; ++i) tasks.push_back(create_task(drain_result(writer)));
            co_await sleep(0s);
            connection.transport->lose(with_error ? reset_error() : nullptr);
            for (Task<std::string>& task : tasks) {
                const std::string result = co_await task;
                EXPECT_EQ(result,
                          with_error ? "std::system_error: receive: Connection reset by peer" : "");
            }
        }
    });
}

TEST(StreamWriter, WR_09_write_after_close_is_ignored_and_drain_tells) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        writer.close();
        writer.write("gone");
        EXPECT_EQ(connection.transport->dropped, 4u);
        connection.transport->lose();
        writer.write("gone");
        const std::string result = co_await drain_result(writer);
        EXPECT_EQ(result, kLost);
    });
}

TEST(StreamWriter, WR_10_is_closing_is_true_at_once) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        EXPECT_FALSE(writer.is_closing());
        writer.close();
        writer.close();
        EXPECT_TRUE(writer.is_closing());
        co_return;
    });
}

TEST(StreamWriter, WR_11_wait_closed_waits_and_raises_the_connections_error) {
    testing::run([]() -> Coro<> {
        for (const bool with_error : {false, true}) {
            FakeConnection connection;
            StreamWriter writer(connection.core);
            connection.reader.feed_data("unread");
            writer.close();
            std::vector<Task<>> tasks;
            for (int i = 0; i < 3; ++i) tasks.push_back(create_task(writer.wait_closed()));
            co_await sleep(0s);
            EXPECT_FALSE(tasks[0].done());
            connection.transport->lose(with_error ? reset_error() : nullptr);
            for (Task<>& task : tasks) {
                const auto outcome = co_await as_outcome(task);
                EXPECT_EQ(static_cast<bool>(outcome), !with_error);
            }
            const auto later = co_await as_outcome(writer.wait_closed());
            EXPECT_EQ(static_cast<bool>(later), !with_error);
        }
    });
}

TEST(StreamWriter, WR_13_after_the_loss_the_reader_is_at_its_end) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        connection.reader.feed_data("rest");
        writer.close();
        connection.transport->lose();
        const std::string rest = co_await connection.reader.read();
        EXPECT_EQ(rest, "rest");
        EXPECT_TRUE(connection.reader.at_eof());
    });
}

TEST(StreamWriter, WR_14_the_addresses_are_the_transports) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        const SocketAddress* peer = &connection.transport->peername();
        EXPECT_EQ(&writer.peername(), peer);
        EXPECT_NE(&writer.sockname(), peer);
        EXPECT_EQ(writer.transport(), connection.transport.get());
        EXPECT_TRUE(writer.can_write_eof());
        writer.close();
        co_return;
    });
}

TEST(StreamWriter, WR_17_a_forgotten_writer_closes_and_says_so) {
    testing::run([]() -> Coro<> {
        testing::LogLines lines;
        FakeConnection connection;
        {
            StreamWriter forgotten(connection.core);
        }
        EXPECT_EQ(connection.transport->closes, 1);
        EXPECT_TRUE(lines.contains("unclosed StreamWriter"));
        EXPECT_EQ(lines.size(), 1u);
        {
            StreamWriter closing(connection.core);
        }
        EXPECT_EQ(lines.size(), 1u);
        co_return;
    });
}

TEST(StreamWriter, moving_passes_the_connection_on) {
    testing::run([]() -> Coro<> {
        testing::LogLines lines;
        FakeConnection one;
        FakeConnection two;
        StreamWriter a(one.core);
        StreamWriter b(two.core);
        StreamWriter c(std::move(a));
        EXPECT_FALSE(a.valid());
        EXPECT_EQ(one.transport->closes, 0);
        c.close();
        c = std::move(b);
        EXPECT_FALSE(b.valid());
        EXPECT_EQ(two.transport->closes, 0);
        StreamWriter& alias = c;
        c = std::move(alias);
        EXPECT_TRUE(c.valid());
        EXPECT_EQ(two.transport->closes, 0);
        c.close();
        EXPECT_EQ(lines.size(), 0u);
        co_return;
    });
}

TEST(StreamWriter, the_limits_take_effect_at_once) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        writer.write(std::string(50, 'x'));
        writer.set_write_buffer_limits(40, 10);
        Task<std::string> task = create_task(drain_result(writer));
        co_await sleep(0s);
        EXPECT_FALSE(task.done());
        writer.set_write_buffer_limits(200, 100);
        const std::string result = co_await task;
        EXPECT_EQ(result, "");
        writer.close();
    });
}

TEST(StreamWriter, drains_may_be_cancelled_between_wake_up_and_resumption) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        StreamWriter writer(connection.core);
        writer.write(std::string(200, 'x'));
        Task<std::string> task = create_task(drain_result(writer));
        co_await sleep(0s);
        connection.transport->flush();  // wakes it
        task.cancel();
        const std::string result = co_await task;
        EXPECT_EQ(result, "CancelledError");
        co_await writer.drain();
        writer.close();
    });
}

/// TLS for which there is no memory: not for the layer, or not for it to begin.
class NoMemory final : public stream::SecureContext {
  public:
    explicit NoMemory(FakeConnection* connection) : connection_(connection) {}
    Shared<const SecureContext> share() const override { return std::make_shared<NoMemory>(*this); }
    Ref<stream::SecureLayer> wrap(Ref<stream::Protocol>,
                                  const stream::SecureOptions&) const override {
        if (connection_ == nullptr) throw std::bad_alloc();
        return Ref<stream::SecureLayer>(new Layer(connection_->transport));
    }

  private:
    class Layer final : public stream::SecureLayer {
      public:
        explicit Layer(Ref<stream::Transport> transport) : transport_(std::move(transport)) {}
        stream::Transport& transport() const noexcept override { return *transport_; }
        void set_listener(Owned<stream::HandshakeListener>) noexcept override {}
        void upgrade(stream::Transport&, std::span<const std::byte>) override {
            throw std::bad_alloc();
        }
        bool runs_foreign_code() const noexcept override { return false; }
        void connection_made(stream::Transport&) override {}
        void data_received(std::span<const std::byte>) override {}
        bool eof_received() override { return false; }
        void connection_lost(std::exception_ptr) override {}
        void pause_writing() override {}
        void resume_writing() override {}
        void destroy() noexcept override { delete this; }

      private:
        Ref<stream::Transport> transport_;
    };

    FakeConnection* connection_;
};

TEST(StreamWriter, TLS_17_start_tls_that_cannot_begin_closes_the_connection) {
    testing::run([]() -> Coro<> {
        for (const bool has_layer : {false, true}) {
            FakeConnection connection;
            const StreamWriter writer(connection.core);
            const NoMemory context(has_layer ? &connection : nullptr);
            const auto outcome =
                co_await as_outcome(writer.start_tls(context, {.server_hostname = "localhost"}));
            EXPECT_NE(describe(outcome.error()).find("bad_alloc"), std::string::npos);
            EXPECT_EQ(connection.transport->aborts, 1) << has_layer;
            EXPECT_TRUE(writer.is_closing());
            writer.close();
        }
    });
}

TEST(StreamWriter, TLS_17_start_tls_that_drains_when_its_loop_closes_ends_with_it) {
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    std::optional<FakeConnection> connection;
    loop->run_until_complete([&]() -> Coro<> {
        connection.emplace();
        const StreamWriter writer(connection->core);
        const NoMemory context(nullptr);
        writer.write(std::string(1000, 'x'));
        (void)create_task(writer.start_tls(context, {.server_hostname = "localhost"}));
        co_await sleep(0s);
        writer.close();
    });
    loop->close();
    EXPECT_EQ(connection->transport->aborts, 1);
    EXPECT_EQ(errors.reports().size(), 1u);  // that the task was pending
}

TEST(Transport, TRN_09_missing_limits_follow_from_the_other) {
    testing::run([]() -> Coro<> {
        FakeConnection connection;
        stream::Transport& transport = *connection.transport;
        transport.set_write_buffer_limits();
        EXPECT_EQ(transport.get_write_buffer_limits().high, 65536u);
        EXPECT_EQ(transport.get_write_buffer_limits().low, 16384u);
        transport.set_write_buffer_limits(400);
        EXPECT_EQ(transport.get_write_buffer_limits().low, 100u);
        transport.set_write_buffer_limits(std::nullopt, 7);
        EXPECT_EQ(transport.get_write_buffer_limits().high, 28u);
        EXPECT_THROW(transport.set_write_buffer_limits(1, 2), std::invalid_argument);
        EXPECT_THROW(transport.set_write_buffer_limits(std::size_t{1} << 40),
                     std::invalid_argument);
        EXPECT_EQ(transport.get_write_buffer_limits().low, 7u);
        co_return;
    });
}

}  // namespace
}  // namespace asyncio
