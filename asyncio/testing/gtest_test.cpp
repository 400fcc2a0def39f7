// SPDX-License-Identifier: MIT
#include <asyncio/net/open_connection.hpp>
#include <asyncio/net/server.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/testing/gtest.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace asyncio::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// --- what users write ----------------------------------------------------------------------------

int calls = 0;

Coro<int> counted(int value) {
    co_await sleep(0s);
    ++calls;
    co_return value;
}

Coro<std::string> text_of(std::string text) {
    co_await sleep(0s);
    co_return text;
}

Coro<int> fails(std::string what) {
    co_await sleep(0s);
    throw std::runtime_error(what);
}

ASYNC_TEST(AsyncTest, a_body_that_declares_nothing_runs) {
    ASYNC_EXPECT_EQ(co_await counted(3), 3);
}

TEST(AsyncTest, shares_its_suite_with_plain_tests) { EXPECT_GE(calls, 0); }

ASYNC_TEST(AsyncTest, each_argument_is_evaluated_once) {
    calls = 0;
    ASYNC_EXPECT_EQ(co_await counted(3), co_await counted(3));
    ASYNC_EXPECT_NE(co_await counted(3), 4) << "with a message";
    ASYNC_EXPECT_LT(co_await counted(3), 4);
    ASYNC_EXPECT_LE(co_await counted(3), 4);
    ASYNC_EXPECT_GT(co_await counted(3), 2);
    ASYNC_EXPECT_GE(co_await counted(3), 2);
    ASYNC_EXPECT_TRUE(co_await counted(3));
    ASYNC_EXPECT_FALSE(co_await counted(0));
    ASYNC_EXPECT_THAT(co_await counted(3), ::testing::Gt(2));
    EXPECT_EQ(calls, 10);
    ASYNC_ASSERT_EQ(co_await counted(3), 3);
    ASYNC_ASSERT_NE(co_await counted(3), 4);
    ASYNC_ASSERT_LT(co_await counted(3), 4);
    ASYNC_ASSERT_LE(co_await counted(3), 4);
    ASYNC_ASSERT_GT(co_await counted(3), 2);
    ASYNC_ASSERT_GE(co_await counted(3), 2);
    ASYNC_ASSERT_TRUE(co_await counted(3));
    ASYNC_ASSERT_FALSE(co_await counted(0));
    ASYNC_ASSERT_THAT(co_await counted(3), ::testing::Gt(2));
    EXPECT_EQ(calls, 19);
}

ASYNC_TEST(AsyncTest, temporaries_live_to_the_end_of_the_comparison) {
    const std::string alphabet = "abcdefghijklmnopqrstuvwxyz";
    ASYNC_EXPECT_EQ(std::string_view(co_await text_of(alphabet)), alphabet);
    ASYNC_EXPECT_EQ((co_await text_of(alphabet)).size(), 26U);
}

ASYNC_TEST(AsyncTest, assertions_stand_where_statements_stand) {
    for (int i = 0; i < 4; ++i)
        if (i % 2 == 0)
            ASYNC_EXPECT_EQ(co_await counted(i), i) << i;
        else
            ASYNC_ASSERT_EQ(co_await counted(i), i);
    ASYNC_EXPECT_THROW(co_await fails("one"), std::runtime_error) << "message";
    ASYNC_EXPECT_THROW(throw CancelledError(), CancelledError);
    ASYNC_ASSERT_THROW((void)co_await fails("two"), std::exception);
}

ASYNC_TEST(AsyncTest, virtual_time_on_request, {.timeout = 48h, .virtual_time = true}) {
    const TimePoint start = get_running_loop().time();
    co_await sleep(24h);
    EXPECT_EQ(get_running_loop().time() - start, Duration(24h));
}

ASYNC_TEST(AsyncTest, skips_from_any_depth) {
    const auto deep = []() -> Coro<int> {
        co_await sleep(0s);
        ASYNC_SKIP() << "shows that it can";
        co_return 1;
    };
    ASYNC_EXPECT_EQ(co_await deep(), 2);
}

class EchoServer : public AsyncTest {
  protected:
    Coro<> async_set_up() override {
        const auto echo = [](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            auto lines = reader.lines();
            while (auto line = co_await lines.next()) writer.write(*line);
        };
        server.emplace(co_await start_server(echo, "127.0.0.1", 0));
    }
    Coro<> async_tear_down() override {
        server->close();
        co_await server->wait_closed();
        ++tear_downs;
    }
    std::uint16_t port() const { return server->sockets().at(0).getsockname().port(); }

    std::optional<Server> server;
    static inline int tear_downs = 0;
};

ASYNC_TEST_F(EchoServer, has_asynchronous_set_up) {
    auto [reader, writer] = co_await open_connection("127.0.0.1", port());
    writer.write("hello\n");
    ASYNC_EXPECT_EQ(co_await reader.readline(), "hello\n");
    writer.close();
    co_await writer.wait_closed();
}

ASYNC_TEST_F(EchoServer, and_tear_down, {.timeout = 5s}) {
    EXPECT_GE(tear_downs, 0);
    co_await sleep(0s);
}

class Sizes : public AsyncTest, public ::testing::WithParamInterface<int> {
  protected:
    TestOptions async_options() const override { return {.timeout = 10h, .virtual_time = true}; }
};

ASYNC_TEST_P(Sizes, have_their_parameter) {
    ASYNC_EXPECT_EQ(co_await counted(GetParam()), GetParam());
}

ASYNC_TEST_P(Sizes, and_the_options_of_the_fixture) {
    co_await sleep(std::chrono::hours(GetParam()));
    EXPECT_GE(get_running_loop().time().time_since_epoch(), std::chrono::hours(1000));
}

INSTANTIATE_TEST_SUITE_P(All, Sizes, ::testing::Values(1, 2));

// --- what fails, and how it says so --------------------------------------------------------------

/// What a body's assertions reported, and whether it ran on after them.
struct Reported {
    explicit Reported(TestStep body) {
        ::testing::TestPartResultArray parts;
        {
            const ::testing::ScopedFakeTestPartResultReporter fake(
                ::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ALL_THREADS, &parts);
            TestSteps steps;
            steps.body = std::move(body);
            faults = run_test(std::move(steps));
        }
        for (int i = 0; i < parts.size(); ++i) {
            texts.emplace_back(parts.GetTestPartResult(i).message());
            fatal = fatal || parts.GetTestPartResult(i).fatally_failed();
            skipped = skipped || parts.GetTestPartResult(i).skipped();
        }
    }
    std::vector<std::string> texts;
    std::vector<std::string> faults;
    bool fatal = false;
    bool skipped = false;
};

TEST(AsyncAssertions, a_failure_shows_both_sides_and_the_message) {
    bool went_on = false;
    const Reported reported([&]() -> Coro<> {
        ASYNC_EXPECT_EQ(co_await counted(3), 4) << "because";
        ASYNC_EXPECT_TRUE(co_await counted(0)) << "truth";
        ASYNC_EXPECT_THAT(co_await counted(3), ::testing::Lt(2));
        went_on = true;
    });
    EXPECT_TRUE(went_on);
    EXPECT_FALSE(reported.fatal);
    EXPECT_EQ(reported.faults, std::vector<std::string>{});
    ASSERT_EQ(reported.texts.size(), 3U);
    EXPECT_THAT(reported.texts[0], HasSubstr("co_await counted(3)\n    Which is: 3"));
    EXPECT_THAT(reported.texts[0], HasSubstr("because"));
    EXPECT_THAT(reported.texts[1], HasSubstr("Value of: co_await counted(0)"));
    EXPECT_THAT(reported.texts[2], HasSubstr("is < 2"));
}

TEST(AsyncAssertions, a_fatal_failure_ends_the_test_from_any_depth) {
    bool went_on = false;
    const Reported reported([&]() -> Coro<> {
        const auto deep = []() -> Coro<int> {
            ASYNC_ASSERT_EQ(co_await counted(1), 2) << "deep down";
            co_return 1;
        };
        (void)co_await deep();
        went_on = true;
    });
    EXPECT_FALSE(went_on);
    EXPECT_TRUE(reported.fatal);
    EXPECT_EQ(reported.faults, std::vector<std::string>{});  // the assertion told all
    ASSERT_EQ(reported.texts.size(), 1U);
    EXPECT_THAT(reported.texts[0], HasSubstr("deep down"));
}

TEST(AsyncAssertions, what_did_not_throw_what_it_should) {
    const Reported reported([&]() -> Coro<> {
        ASYNC_EXPECT_THROW(co_await fails("other"), std::logic_error) << "first";
        ASYNC_EXPECT_THROW(co_await counted(1), std::logic_error);
        ASYNC_FAIL() << "given up";
    });
    ASSERT_EQ(reported.texts.size(), 3U);
    EXPECT_THAT(reported.texts[0], HasSubstr("it throws std::runtime_error: other."));
    EXPECT_THAT(reported.texts[0], HasSubstr("first"));
    EXPECT_THAT(reported.texts[1], HasSubstr("it throws nothing."));
    EXPECT_THAT(reported.texts[2], HasSubstr("given up"));
}

TEST(AsyncAssertions, skipping_is_no_failure) {
    const Reported reported([&]() -> Coro<> {
        co_await sleep(0s);
        ASYNC_SKIP() << "no such device";
    });
    EXPECT_TRUE(reported.skipped);
    EXPECT_EQ(reported.faults, std::vector<std::string>{});
}

}  // namespace
}  // namespace asyncio::testing
