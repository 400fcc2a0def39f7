// SPDX-License-Identifier: MIT
//
// Storms of cancels over happy eyeballs, unix sockets and datagrams.
#include <asyncio/net/connect.hpp>
#include <asyncio/net/datagram_endpoint.hpp>
#include <asyncio/net/storm_fixture_test.hpp>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

TEST(ConnectStorm, happy_eyeballs_close_all_but_the_winner) {
    testing::run([]() -> Coro<> {
        const RawListener one(4096);
        const RawListener two(4096);
        // Bound, so that no test beside this one gets the port: its server would be connected to.
        const Fd deaf(os::stream_socket(AF_INET));
        os::bind(deaf.get(), loopback(0));
        SocketAddress refusing;
        os::local_address(deaf.get(), refusing);
        const Storm storm;
        std::mt19937 random(21);
        int completed = 0;
        int cancelled = 0;
        for (int i = 0; i < storm.rounds; ++i) {
            std::vector<SocketAddress> remotes = {one.address, refusing, two.address};
            std::swap(remotes[0], remotes[random() % 3]);
            const Duration delay = random() % 2 == 0 ? Duration(0s) : Duration(1h);
            auto task = create_task(net::connect_to_any(std::move(remotes), {}, delay, false));
            co_await turns(random() % 8);
            task.cancel();
            {
                const auto outcome = co_await as_outcome(std::move(task));
                EXPECT_TRUE(outcome || outcome.cancelled());
                ++(outcome ? completed : cancelled);
                if (outcome) os::set_option(outcome->get(), os::SocketOption::linger_reset, 1);
            }
            for (const RawListener* listener : {&one, &two})
                for (Fd fd = listener->accept(); fd; fd = listener->accept()) reset(fd);
        }
        storm.check(cancelled, completed);
    });
}

TEST(ConnectStorm, unix_sockets_with_a_queue_that_is_often_full) {
    testing::run([]() -> Coro<> {
        const std::string name =
            std::string(1, '\0') + "asyncio-storm-" + std::to_string(::getpid());
        const Fd listening(os::stream_socket(AF_UNIX));
        os::bind(listening.get(), SocketAddress::unix_path(name));
        os::listen(listening.get(), 0);
        const Storm storm;
        std::mt19937 random(22);
        int completed = 0;
        int cancelled = 0;
        std::vector<Fd> accepted;
        for (int i = 0; i < storm.rounds; ++i) {
            if (random() % 2 == 0)
                while (Fd(os::try_accept(listening.get()))) continue;
            auto task = create_task(open_unix_connection(name));
            for (unsigned n = random() % 4; n > 0; --n) {
                co_await sleep(random() % 16 == 0 ? 1ms : 0ms);
                if (random() % 2 == 0) accepted.emplace_back(os::try_accept(listening.get()));
            }
            task.cancel();
            const auto outcome = co_await as_outcome(std::move(task));
            ++(outcome ? completed : cancelled);
            if (outcome) outcome->second.abort();
            if (accepted.size() > 16) accepted.clear();
        }
        accepted.clear();
        while (Fd(os::try_accept(listening.get()))) continue;
        co_await turns(3);
        storm.check(cancelled, completed);
    });
}

std::pair<Fd, Fd> datagram_pair() {
    int fds[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    return std::pair<Fd, Fd>(Fd(fds[0]), Fd(fds[1]));
}

/// Numbers that have to come in order, none left out.
struct InOrder {
    void take(const std::string& datagram) {
        if (datagram != std::to_string(next)) ++wrong;
        ++next;
    }
    int next = 0;
    int wrong = 0;
};

TEST(DatagramStorm, no_datagram_is_lost_by_a_cancelled_receive) {
    testing::run([]() -> Coro<> {
        const Storm storm;
        std::mt19937 random(23);
        int completed = 0;
        int cancelled = 0;
        {
            auto sockets = datagram_pair();
            DatagramOptions options;
            options.sock = sockets.first.release();
            const DatagramEndpoint endpoint = co_await open_datagram(options);
            auto receive = [&]() -> Coro<std::string> {
                auto got = co_await endpoint.recvfrom();
                co_return std::move(got.first);
            };
            int sent = 0;
            InOrder check;
            for (int i = 0; i < storm.rounds; ++i) {
                auto task = create_task(receive());
                co_await turns(random() % 3);
                if (random() % 2 == 0) raw_send(sockets.second, std::to_string(sent++));
                co_await turns(random() % 3);
                task.cancel();
                const auto outcome = co_await as_outcome(std::move(task));
                if (outcome) check.take(*outcome);
                ++(outcome ? completed : cancelled);
                while (sent - check.next > 8) check.take(co_await receive());
            }
            while (check.next < sent) check.take(co_await receive());
            EXPECT_EQ(check.wrong, 0);
            endpoint.close();
            co_await endpoint.wait_closed();
        }
        storm.check(cancelled, completed);
    });
}

TEST(DatagramStorm, what_a_cancelled_send_has_begun_is_sent_in_order) {
    testing::run([]() -> Coro<> {
        const Storm storm;
        std::mt19937 random(24);
        int completed = 0;
        int cancelled = 0;
        {
            auto sockets = datagram_pair();
            DatagramOptions options;
            options.sock = sockets.first.release();
            const DatagramEndpoint endpoint = co_await open_datagram(options);
            endpoint.transport().set_write_buffer_limits(20, 5);
            int begun = 0;
            auto send = [&]() -> Coro<> {
                const std::string text = std::to_string(begun++);
                co_await endpoint.sendto(text);
            };
            InOrder check;
            auto receive = [&](unsigned most) {
                for (; most > 0; --most) {
                    const std::string datagram = raw_receive(sockets.second, 100);
                    if (datagram.empty()) return;
                    check.take(datagram);
                }
            };
            for (int i = 0; i < storm.rounds; ++i) {
                auto task = create_task(send());
                co_await turns(random() % 3);
                receive(random() % 4);
                co_await turns(random() % 3);
                task.cancel();
                const auto outcome = co_await as_outcome(std::move(task));
                ++(outcome ? completed : cancelled);
            }
            auto all = [&] {
                receive(100);
                return check.next == begun;
            };
            const bool there = co_await until(all);
            EXPECT_TRUE(there) << check.next << " of " << begun;
            EXPECT_EQ(check.wrong, 0);
            endpoint.close();
            co_await endpoint.wait_closed();
        }
        storm.check(cancelled, completed);
    });
}

}  // namespace
}  // namespace asyncio
