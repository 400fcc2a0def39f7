// SPDX-License-Identifier: MIT
//
// What a protocol writes, and how it is stopped and resumed: area TRN.
#include <asyncio/net/protocol_fixture_test.hpp>

#include <stdexcept>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace net_tests;

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

}  // namespace
}  // namespace asyncio
