// SPDX-License-Identifier: MIT
//
// Happy eyeballs: who is tried when, who wins, and what becomes of the others. An address that does
// not answer is a listener whose queue is full: the system drops what comes.
#include <asyncio/base/exception_group.hpp>
#include <asyncio/net/connect.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/task/wait_for.hpp>

#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace net_tests;

SocketAddress at(const char* host, std::uint16_t port) { return *SocketAddress::parse(host, port); }

/// Lets nobody in: connecting to it takes until the end of time.
class Silent {
  public:
    explicit Silent(const char* host) : fd_(os::stream_socket(AF_INET)), address_(at(host, 0)) {
        os::bind(fd_.get(), address_);
        os::listen(fd_.get(), 0);
        os::local_address(fd_.get(), address_);
        for (int i = 0; i < 4; ++i) {
            fillers_.emplace_back(os::stream_socket(AF_INET));
            os::connect(fillers_.back().get(), address_);
        }
    }
    const SocketAddress& address() const { return address_; }

  private:
    Fd fd_;
    SocketAddress address_;
    std::vector<Fd> fillers_;
};

/// A port nobody listens on.
SocketAddress refusing(const char* host) {
    SocketAddress address = at(host, 0);
    const Fd fd(os::stream_socket(AF_INET));
    os::bind(fd.get(), address);
    os::local_address(fd.get(), address);
    return address;
}

SocketAddress peer_of(const net::Socket& fd) {
    SocketAddress peer;
    os::peer_address(fd.get(), peer);
    return peer;
}

TEST(Connect, CONN_09_families_are_interleaved) {
    const auto v4 = [](int i) { return at(("10.0.0." + std::to_string(i)).c_str(), 1); };
    const auto v6 = [](int i) { return at(("fe80::" + std::to_string(i)).c_str(), 1); };
    const std::vector<SocketAddress> given = {v6(1), v6(2), v6(3), v4(1), v4(2)};
    EXPECT_EQ(net::interleaved(given, 1),
              (std::vector<SocketAddress>{v6(1), v4(1), v6(2), v4(2), v6(3)}));
    EXPECT_EQ(net::interleaved(given, 2),
              (std::vector<SocketAddress>{v6(1), v6(2), v4(1), v6(3), v4(2)}));
    EXPECT_EQ(net::interleaved(given, 9), given);
    EXPECT_TRUE(net::interleaved({}, 1).empty());
}

TEST(Connect, CONN_09_a_silent_address_is_overtaken_after_the_delay) {
    testing::run([]() -> Coro<> {
        const Silent silent("127.0.0.2");
        const RawListener listener;
        const int before = open_descriptors();
        const TimePoint begin = get_running_loop().time();
        std::vector<SocketAddress> remotes = {silent.address(), listener.address};
        {
            net::Socket fd = co_await net::connect_to_any(remotes, {}, 250ms, false);
            EXPECT_EQ(peer_of(fd), listener.address);
            EXPECT_GE(get_running_loop().time() - begin, 250ms);
            EXPECT_EQ(open_descriptors(), before + 1);  // the loser's is closed
        }
    });
}

TEST(Connect, CONN_09_a_refusal_begins_the_next_at_once) {
    testing::run([]() -> Coro<> {
        const RawListener listener;
        const TimePoint begin = get_running_loop().time();
        std::vector<SocketAddress> remotes = {refusing("127.0.0.2"), listener.address};
        const net::Socket fd = co_await net::connect_to_any(remotes, {}, 3600s, false);
        EXPECT_EQ(peer_of(fd), listener.address);
        EXPECT_LT(get_running_loop().time() - begin, 3600s);
    });
}

TEST(Connect, CONN_03_without_a_delay_a_silent_address_holds_up_the_others) {
    testing::run([]() -> Coro<> {
        const Silent silent("127.0.0.2");
        const RawListener listener;
        std::vector<SocketAddress> remotes = {silent.address(), listener.address};
        Task<net::Socket> task = create_task(net::connect_to_any(remotes, {}, std::nullopt, false));
        co_await sleep(1s);
        EXPECT_FALSE(task.done());
        EXPECT_FALSE(listener.accept());
        task.cancel();
        const auto outcome = co_await as_outcome(std::move(task));
        EXPECT_TRUE(outcome.cancelled());
    });
}

TEST(Connect, CONN_11_a_host_that_drops_everything_meets_the_callers_time_limit) {
    testing::run([]() -> Coro<> {
        const Silent silent("127.0.0.2");
        const int before = open_descriptors();
        const std::uint16_t port = silent.address().port();
        const auto outcome = co_await as_outcome(wait_for(open_connection("127.0.0.2", port), 30s));
        EXPECT_THROW(std::rethrow_exception(outcome.error()), TimeoutError);
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(Connect, CONN_04_different_errors_are_combined_or_grouped) {
    testing::run([]() -> Coro<> {
        const int before = open_descriptors();
        const SocketAddress one = refusing("127.0.0.2");
        const SocketAddress two = refusing("127.0.0.3");
        std::vector<SocketAddress> remotes = {one, two};
        const auto combined = co_await as_outcome(net::connect_to_any(remotes, {}, 1s, false));
        EXPECT_EQ(error_of(combined), "std::system_error: Multiple exceptions: connect " +
                                          one.to_string() + ": Connection refused, connect " +
                                          two.to_string() +
                                          ": Connection refused: Transport endpoint is not "
                                          "connected");
        std::vector<SocketAddress> same = {one, one};
        const auto alike = co_await as_outcome(net::connect_to_any(same, {}, 1s, false));
        EXPECT_EQ(error_of(alike),
                  "std::system_error: connect " + one.to_string() + ": Connection refused");
        const auto grouped = co_await as_outcome(net::connect_to_any(remotes, {}, 1s, true));
        const auto group = error_in(grouped, ExceptionGroup("none", {grouped.error()}));
        EXPECT_EQ(group.exceptions().size(), 2u);
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(Connect, CONN_10_without_any_error_it_is_a_timeout) {
    testing::run([]() -> Coro<> {
        const auto outcome = co_await as_outcome(net::connect_to_any({}, {}, 1s, false));
        EXPECT_EQ(error_of(outcome), "asyncio::TimeoutError: TimeoutError: Connection timed out");
    });
}

TEST(Connect, CONN_11_cancelling_the_race_closes_all_sockets) {
    testing::run([]() -> Coro<> {
        const Silent one("127.0.0.2");
        const Silent two("127.0.0.3");
        const int before = open_descriptors();
        for (const Duration when : {Duration(0s), Duration(100ms), Duration(2s)}) {
            std::vector<SocketAddress> remotes = {one.address(), two.address()};
            Task<net::Socket> task = create_task(net::connect_to_any(remotes, {}, 1s, false));
            co_await sleep(when);
            task.cancel();
            const auto outcome = co_await as_outcome(std::move(task));
            EXPECT_TRUE(outcome.cancelled());
            EXPECT_EQ(open_descriptors(), before);
        }
    });
}

TEST(Connect, CONN_09_the_option_reaches_the_race) {
    testing::run([]() -> Coro<> {
        const RawListener listener;
        auto streams = co_await open_connection("localhost", listener.address.port(),
                                                {.happy_eyeballs_delay = 250ms});
        EXPECT_EQ(streams.second.peername(), listener.address);
        streams.second.close();
        const auto grouped = co_await as_outcome(
            open_connection("127.0.0.1", refusing("127.0.0.1").port(), {.all_errors = true}));
        EXPECT_NE(error_of(grouped).find("create_connection failed"), std::string::npos)
            << error_of(grouped);
    });
}

}  // namespace
}  // namespace asyncio
