// SPDX-License-Identifier: MIT
//
// Programs whose protocol is told what they say and how they end.
#include <asyncio/subprocess/subprocess_fixture_test.hpp>
#include <asyncio/subprocess/subprocess_transport.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>

#include <algorithm>
#include <csignal>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

using namespace subprocess_tests;

/// Writes down what it is told.
class Recorder : public SubprocessProtocol {
  public:
    void connection_made(SubprocessTransport& transport) override {
        events.push_back("made");
        transport_ = &transport;
        if (throws) throw std::runtime_error("not this one");
    }
    void pipe_data_received(int fd, std::span<const std::byte> data) override {
        text[fd] += as_text(data);
        if (events.back() != "data" + std::to_string(fd))
            events.push_back("data" + std::to_string(fd));
    }
    void pipe_connection_lost(int fd, std::exception_ptr) override {
        events.push_back("lost" + std::to_string(fd));
    }
    void process_exited() override {
        events.push_back("exited");
        EXPECT_TRUE(transport_->get_returncode());
    }
    void connection_lost(std::exception_ptr error) override {
        EXPECT_EQ(error, nullptr);
        events.push_back("lost");
        if (!over.done()) over.set_result();
    }
    bool has(const std::string& event) const { return std::ranges::count(events, event) == 1; }

    bool throws = false;
    std::string text[3];
    std::vector<std::string> events;
    Future<> over = get_running_loop().create_future<void>();

  private:
    SubprocessTransport* transport_ = nullptr;
};

TEST_F(Subprocess, SUB_26_SUB_27_the_order_of_a_protocols_events) {
    asyncio::run([]() -> Coro<> {
        auto [transport, protocol] = co_await get_running_loop().subprocess_shell(
            [] { return std::make_unique<Recorder>(); },
            {.stdin_ = PIPE, .stdout_ = PIPE, .stderr_ = PIPE}, "cat; echo problem >&2; exit 9");
        EXPECT_EQ(protocol->events, std::vector<std::string>{"made"});
        transport->get_pipe_transport(0)->write("hello");
        transport->get_pipe_transport(0)->write_eof();
        co_await protocol->over;
        EXPECT_EQ(protocol->text[1], "hello");
        EXPECT_EQ(protocol->text[2], "problem\n");
        EXPECT_EQ(transport->get_returncode(), 9);
        for (const char* event : {"lost0", "lost1", "lost2", "exited", "lost"})
            EXPECT_TRUE(protocol->has(event)) << event;
        EXPECT_EQ(protocol->events.front(), "made");
        EXPECT_EQ(protocol->events.back(), "lost");
        EXPECT_EQ(transport->get_pipe_transport(1), nullptr);
        EXPECT_THROW(transport->terminate(), std::system_error);
    });
}

TEST_F(Subprocess, what_a_protocol_throws_of_data_is_reported_and_the_pipe_stays) {
    struct Throws : Recorder {
        void connection_made(SubprocessTransport& transport) override {
            Recorder::connection_made(transport);
            stdin_ = transport.get_pipe_transport(0);
        }
        void pipe_data_received(int fd, std::span<const std::byte> data) override {
            Recorder::pipe_data_received(fd, data);
            if (text[fd] == "one\n") stdin_->write("two\n");
            throw std::runtime_error("not this one");
        }
        Transport* stdin_ = nullptr;
    };
    std::vector<std::string> reports;
    asyncio::run([&]() -> Coro<> {
        get_running_loop().set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
            reports.push_back(context.message);
        });
        auto [transport, protocol] = co_await get_running_loop().subprocess_shell(
            [] { return std::make_unique<Throws>(); }, {.stdin_ = PIPE, .stdout_ = PIPE},
            "echo one; read line; echo $line; exit 3");
        co_await protocol->over;
        EXPECT_EQ(protocol->text[1], "one\ntwo\n");
        EXPECT_EQ(transport->get_returncode(), 3);
    });
    EXPECT_EQ(reports,
              std::vector<std::string>(2, "Exception in SubprocessProtocol.pipe_data_received()"));
}

TEST_F(Subprocess, a_SystemExit_of_a_protocol_leaves_the_loop) {
    struct Exits : Recorder {
        void process_exited() override { throw SystemExit(5); }
    };
    const auto main = []() -> Coro<> {
        const auto child = co_await get_running_loop().subprocess_shell(
            [] { return std::make_shared<Exits>(); }, {}, "exit 0");
        co_await sleep(10s);  // a deadline; the SystemExit comes before
    };
    EXPECT_THROW(asyncio::run(main), SystemExit);
}

TEST_F(Subprocess, SUB_25_closing_the_transport_kills) {
    asyncio::run([]() -> Coro<> {
        auto [transport, protocol] = co_await get_running_loop().subprocess_exec(
            [] { return std::make_shared<Recorder>(); }, {.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
        transport->close();
        transport->close();
        EXPECT_TRUE(transport->is_closing());
        co_await protocol->over;
        EXPECT_EQ(transport->get_returncode(), -SIGKILL);
        transport->close();
    });
}

TEST_F(Subprocess, SUB_28_what_goes_wrong_at_the_start_leaves_nothing) {
    asyncio::run([]() -> Coro<> {
        auto missing = co_await as_outcome(get_running_loop().subprocess_exec(
            [] { return std::make_unique<Recorder>(); }, {.stdout_ = PIPE}, "no-such-program"));
        EXPECT_FALSE(missing);
        auto refused = co_await as_outcome(get_running_loop().subprocess_exec(
            [] {
                auto protocol = std::make_unique<Recorder>();
                protocol->throws = true;
                return protocol;
            },
            {.stdout_ = PIPE}, "sleep", "100"));
        EXPECT_FALSE(refused);
        const TimePoint deadline = get_running_loop().time() + 20s;
        while (!no_children() && get_running_loop().time() < deadline) co_await sleep(1ms);
    });
}

TEST_F(Subprocess, a_loop_closes_under_a_transport) {
    EventLoop loop;
    loop.run_until_complete([]() -> Coro<> {
        auto [transport, protocol] = co_await get_running_loop().subprocess_exec(
            [] { return std::make_unique<Recorder>(); }, {.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
        EXPECT_GT(transport->get_pid(), 0);
    });
    loop.close();
}

}  // namespace
}  // namespace asyncio
