// SPDX-License-Identifier: MIT
//
// resolve: literals, names the machine itself knows, and lookups nobody waits for any more.
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/resolve.hpp>
#include <asyncio/testing/error_log.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace net_tests;

TEST(Resolve, CONN_08_literals_do_not_suspend) {
    testing::run([]() -> Coro<> {
        bool other_ran = false;
        Task<> other = create_task([&]() -> Coro<> {
            other_ran = true;
            co_return;
        });
        const auto v4 = co_await net::resolve("127.0.0.1", 80);
        const auto v6 = co_await net::resolve("::1", 81);
        EXPECT_FALSE(other_ran);
        EXPECT_EQ(v4.size(), 1u);
        EXPECT_EQ(v4.at(0).to_string(), "127.0.0.1:80");
        EXPECT_EQ(v6.at(0).to_string(), "[::1]:81");
        co_await other;
    });
}

TEST(Resolve, DBG_07_debug_mode_reports_slow_lookups) {
    for (const bool debug : {false, true}) {
        testing::LogLines lines;
        testing::run([debug]() -> Coro<> {
            EventLoop& loop = get_running_loop();
            loop.set_debug(debug);
            loop.slow_callback_duration = Duration::zero();
            (void)co_await net::resolve("localhost", 80);
        });
        EXPECT_EQ(lines.contains("Looking up 'localhost' took "), debug);
    }
}

TEST(Resolve, an_empty_host_is_all_interfaces) {
    testing::run([]() -> Coro<> {
        const auto all = co_await net::resolve("", 80);
        EXPECT_EQ(all.size(), 2u);
        EXPECT_EQ(all.at(0).to_string(), "0.0.0.0:80");
        EXPECT_EQ(all.at(1).to_string(), "[::]:80");
    });
}

TEST(Resolve, a_name_of_the_machine_each_address_once) {
    testing::run([]() -> Coro<> {
        auto found = co_await net::resolve("localhost", 80);
        EXPECT_TRUE(std::ranges::find(found, loopback(80)) != found.end());
        std::ranges::sort(found);
        EXPECT_TRUE(std::ranges::adjacent_find(found) == found.end());
    });
}

TEST(Resolve, CONN_05_what_is_no_name_is_an_error) {
    testing::run([]() -> Coro<> {
        const auto too_long = co_await as_outcome(net::resolve(std::string(300, 'a'), 80));
        EXPECT_FALSE(too_long);
        const auto with_nul = co_await as_outcome(net::resolve(std::string("a\0b", 3), 80));
        EXPECT_EQ(error_of(with_nul),
                  "std::system_error: resolve: not a host name: Invalid argument");
        const auto label = co_await as_outcome(net::resolve(std::string(100, 'a'), 80));
        EXPECT_FALSE(label);  // refused by the system without asking anybody: 63 is the longest
    });
}

TEST(Resolve, CONN_05_addresses_in_disguise_are_none) {
    testing::run([]() -> Coro<> {
        for (const std::string host :
             {"127.1", "0x7f000001", "017700000001", "2130706433", "127.0.0.01", "1.2.3"}) {
            const auto outcome = co_await as_outcome(net::resolve(host, 80));
            EXPECT_NE(error_of(outcome).find("Invalid argument"), std::string::npos) << host;
        }
    });
}

TEST(Resolve, many_at_once_share_the_threads) {
    testing::run([]() -> Coro<> {
        std::vector<Coro<std::vector<SocketAddress>>> lookups;
        for (int i = 0; i < 50; ++i) lookups.push_back(net::resolve("localhost", 80));
        const auto all = co_await gather(std::move(lookups));
        for (const auto& found : all) EXPECT_FALSE(found.empty());
    });
}

TEST(Resolve, cancelling_forgets_the_lookup) {
    testing::run([]() -> Coro<> {
        for (int i = 0; i < 200; ++i) {
            auto task = create_task(net::resolve("localhost", 80));
            for (int turns = i % 4; turns > 0; --turns) co_await sleep(0s);
            task.cancel();
            const auto outcome = co_await as_outcome(std::move(task));
            EXPECT_TRUE(outcome || outcome.cancelled());
        }
    });
}

TEST(Resolve, the_loop_may_close_while_a_thread_looks_up) {
    // The thread used to post to a closed loop, and its exception ended the program.
    for (int i = 0; i < 200; ++i) {
        auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        loop->run_until_complete([&]() -> Coro<> {
            for (int n = 0; n < 4; ++n) (void)create_task(net::resolve("localhost", 80));
            for (int turns = i % 3; turns >= 0; --turns) co_await sleep(0s);
        });
        loop->close();
    }
}

}  // namespace
}  // namespace asyncio
