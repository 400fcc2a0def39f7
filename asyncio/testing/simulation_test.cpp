// SPDX-License-Identifier: MIT
#include <asyncio/net/datagram_endpoint.hpp>
#include <asyncio/net/open_connection.hpp>
#include <asyncio/net/server.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/timeout.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/testing/simulation.hpp>
#include <asyncio/thread/to_thread.hpp>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr NetworkFaults kGood{};

constexpr SimulationOptions good() { return {.faults = &kGood}; }

/// Run it on a good network, and give what it failed with.
template <class F>
std::string failure_of(F world) {
    try {
        simulate(7, std::move(world), good());
    } catch (const SimulationFailed& failed) {
        return failed.what();
    }
    return "none";
}

Coro<> echo(StreamReader& reader, StreamWriter& writer) {
    try {
        auto lines = reader.lines();
        while (auto line = co_await lines.next()) {
            writer.write(*line);
            co_await writer.drain();
        }
    } catch (const std::system_error&) {  // the client's business
    }
}

Coro<> serve_echo() {
    Server server = co_await start_server(echo, "", 7777);
    co_await server.serve_forever();
}

Coro<std::string> ask(std::string host, std::string line) {
    auto [reader, writer] = co_await open_connection(host, 7777);
    writer.write(line);
    const std::string answer = co_await reader.readline();
    writer.close();
    co_await writer.wait_closed();
    co_return answer;
}

TEST(Simulation, a_program_of_two_hosts_runs_unchanged) {
    std::string answer;
    const SimulationResult result = simulate(
        1,
        [&](Simulation& sim) -> Coro<> {
            auto& server = sim.host("server", serve_echo);
            co_await sleep(1s);
            auto& client = sim.host("client", [&]() -> Coro<> {
                answer = co_await ask("server", "hello\n");
                answer += co_await ask(server.address(), "world\n");
            });
            co_await client.finished();
            EXPECT_TRUE(server.running());
            EXPECT_FALSE(client.running());
        },
        good());
    EXPECT_EQ(answer, "hello\nworld\n");
    EXPECT_GT(result.events, 20U);
    EXPECT_LT(result.took, Duration(2s));
}

TEST(Simulation, the_seed_decides_everything) {
    const auto world = [](Simulation& sim) -> Coro<> {
        sim.host("server", serve_echo);
        for (int i = 0; i < 5; ++i) {
            sim.host("client " + std::to_string(i), [i]() -> Coro<> {
                for (int attempt = 0; attempt < 3; ++attempt) {
                    try {
                        const std::string line = std::to_string(i * 10 + attempt) + "\n";
                        const auto answer = co_await wait_for(ask("server", line), 5s);
                        if (!answer.empty()) {
                            EXPECT_EQ(answer, line);
                        }
                    } catch (const std::system_error&) {  // refused, reset, timed out
                    }
                }
            });
        }
        co_await sleep(100s);
    };
    std::set<std::uint64_t> hashes;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const SimulationResult first = simulate(seed, world);
        EXPECT_EQ(first.trace_hash, simulate(seed, world).trace_hash) << seed;
        hashes.insert(first.trace_hash);
    }
    EXPECT_EQ(hashes.size(), 20U);
}

TEST(Simulation, nobody_listens_nobody_is_there_nobody_answers) {
    std::vector<std::string> errors;
    const auto attempt = [&](std::string host) -> Coro<> {
        const TimePoint start = get_running_loop().time();
        try {
            co_await ask(host, "x\n");
            errors.push_back("none");
        } catch (const std::system_error& e) {
            const auto seconds =
                std::chrono::duration_cast<std::chrono::seconds>(get_running_loop().time() - start);
            errors.push_back(std::to_string(e.code().value()) + " after " +
                             std::to_string(seconds.count()));
        }
    };
    simulate(2,
             [&](Simulation& sim) -> Coro<> {
                 auto& silent = sim.host("silent", [] { return sleep(1h); });
                 auto& cut = sim.host("cut off", [] { return sleep(1h); });
                 auto& client = sim.host("client", [&]() -> Coro<> {
                     co_await attempt("silent");
                     co_await attempt("10.0.0.99");
                     co_await attempt("cut off");
                 });
                 sim.partition(client, cut);
                 co_await client.finished();
                 silent.stop();
             },
             {.faults = &kGood, .faults_for = 5min});
    EXPECT_EQ(errors, (std::vector<std::string>{std::to_string(ECONNREFUSED) + " after 0",
                                                std::to_string(EHOSTUNREACH) + " after 0",
                                                std::to_string(ETIMEDOUT) + " after 63"}));
}

TEST(Simulation, a_partition_holds_back_and_mends) {
    simulate(
        3,
        [](Simulation& sim) -> Coro<> {
            auto& server = sim.host("server", serve_echo);
            auto& client = sim.host("client", []() -> Coro<> {
                auto [reader, writer] = co_await open_connection("server", 7777);
                for (int i = 0; i < 20; ++i) {
                    writer.write(std::to_string(i) + "\n");
                    const std::string answer = co_await reader.readline();
                    EXPECT_EQ(answer, std::to_string(i) + "\n");
                    co_await sleep(1s);
                }
                writer.close();
                co_await writer.wait_closed();
            });
            co_await sleep(5500ms);
            sim.partition(client, server);
            co_await sleep(20s);
            sim.partition(client, server, false);
            co_await client.finished();
            EXPECT_GT(sim.now() - Agenda::kStart, Duration(35s));
        },
        good());
}

TEST(Simulation, a_host_crashes_and_comes_back) {
    std::vector<std::string> log;
    simulate(
        4,
        [&](Simulation& sim) -> Coro<> {
            auto& server = sim.host("server", [&]() -> Coro<> {
                log.push_back("started");
                co_await serve_echo();
            });
            auto& client = sim.host("client", [&]() -> Coro<> {
                auto [reader, writer] = co_await open_connection("server", 7777);
                writer.write("one\n");
                log.push_back(co_await reader.readline());
                co_await sleep(10s);
                try {
                    writer.write("two\n");
                    log.push_back("end: '" + co_await reader.readline() + "'");
                } catch (const std::system_error& e) {
                    log.push_back(e.code() == std::errc::connection_reset ? "reset" : e.what());
                }
                log.push_back(co_await ask("server", "three\n"));
            });
            co_await sleep(2s);
            server.crash();
            EXPECT_FALSE(server.running());
            co_await sleep(2s);
            server.restart();
            co_await client.finished();
        },
        good());
    EXPECT_EQ(log, (std::vector<std::string>{"started", "one\n", "started", "reset", "three\n"}));
}

TEST(Simulation, to_thread_gives_its_result) {
    simulate(
        5,
        [](Simulation&) -> Coro<> {
            const int result = co_await to_thread([] { return 42; });
            EXPECT_EQ(result, 42);
        },
        good());
}

Coro<> hear_group(std::string group, std::vector<std::string>& heard) {
    auto udp = co_await open_datagram({.local = {"0.0.0.0", 9000}});
    if (!group.empty()) udp.join_group(group);
    try {
        for (;;) heard.push_back((co_await wait_for(udp.recvfrom(), 5s)).first);
    } catch (const TimeoutError&) {  // that was all
    }
}

Coro<> speak_to_groups() {
    auto udp = co_await open_datagram({.local = {"0.0.0.0", 0}, .allow_broadcast = true});
    const auto to = [](const char* host) { return *SocketAddress::parse(host, 9000); };
    co_await sleep(1s);
    co_await udp.sendto("to a", to("239.1.1.1"));
    co_await udp.sendto("to b", to("239.2.2.2"));
    co_await udp.sendto("to all", to("255.255.255.255"));
    udp.transport().set_multicast_ttl(0);
    co_await udp.sendto("to nobody far", to("239.1.1.1"));
}

TEST(Simulation, multicast_reaches_who_joined_and_broadcast_everybody) {
    std::vector<std::string> heard[3];
    simulate(
        1,
        [&](Simulation& sim) -> Coro<> {
            const char* const groups[] = {"239.1.1.1", "239.2.2.2", ""};
            for (int i = 0; i < 3; ++i)
                sim.host("listener" + std::to_string(i), [&, i, group = groups[i]]() -> Coro<> {
                    co_await hear_group(group, heard[i]);
                });
            auto& speaker = sim.host("speaker", speak_to_groups);
            co_await speaker.finished();
            co_await sleep(10s);
        },
        good());
    for (std::vector<std::string>& all : heard) std::ranges::sort(all);  // they overtake each other
    EXPECT_EQ(heard[0], (std::vector<std::string>{"to a", "to all"}));
    EXPECT_EQ(heard[1], (std::vector<std::string>{"to all", "to b"}));
    EXPECT_EQ(heard[2], (std::vector<std::string>{"to all"}));
}

TEST(Simulation, threads_work_at_times_of_their_own) {
    std::set<std::string> orders;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        std::string order;
        const auto world = [&](Simulation& sim) -> Coro<> {
            order.clear();
            auto& host = sim.host("host", [&]() -> Coro<> {
                auto a = create_task(to_thread([&] { order += 'a'; }));
                auto b = create_task(to_thread([&] { order += 'b'; }));
                co_await sleep(Duration::zero());
                EXPECT_EQ(order, "") << "not inside of the call that gave it away";
                co_await a;
                co_await b;
            });
            co_await host.finished();
        };
        check_same(simulate(seed, world, good()), simulate(seed, world, good()));
        orders.insert(order);
    }
    EXPECT_EQ(orders, (std::set<std::string>{"ab", "ba"}));
}

TEST(Simulation, datagrams_are_lost_doubled_and_overtake) {
    NetworkFaults faults;
    faults.loss = 0.1;
    faults.duplication = 0.1;
    std::vector<int> got;
    simulate(6,
             [&](Simulation& sim) -> Coro<> {
                 auto& receiver = sim.host("receiver", [&]() -> Coro<> {
                     auto udp = co_await open_datagram({.local = {"0.0.0.0", 9000}});
                     for (;;) {
                         auto [data, from] = co_await udp.recvfrom();
                         got.push_back(std::stoi(data));
                     }
                 });
                 co_await sleep(1s);
                 auto& sender = sim.host("sender", [&]() -> Coro<> {
                     auto udp = co_await open_datagram({.remote = {receiver.address(), 9000}});
                     for (int i = 0; i < 500; ++i) co_await udp.sendto(std::to_string(i));
                     udp.close();
                 });
                 co_await sender.finished();
                 co_await sleep(1s);
             },
             {.faults = &faults});
    EXPECT_GT(got.size(), 400U);
    EXPECT_LT(got.size(), 600U);
    EXPECT_FALSE(std::ranges::is_sorted(got));
    EXPECT_GT(std::set<int>(got.begin(), got.end()).size(), 400U);
}

TEST(Simulation, unix_sockets_are_names_of_their_host) {
    simulate(
        7,
        [](Simulation&) -> Coro<> {
            Server server = co_await start_unix_server(echo, "/run/echo.sock");
            auto [reader, writer] = co_await open_unix_connection("/run/echo.sock");
            writer.write("hello\n");
            const std::string answer = co_await reader.readline();
            EXPECT_EQ(answer, "hello\n");
            writer.close();
            co_await writer.wait_closed();
            server.close();
            co_await server.wait_closed();
        },
        good());
}

// --- failures
// --------------------------------------------------------------------------------------

TEST(SimulationFailures, a_deadlock_shows_where_everybody_stands) {
    const std::string failure = failure_of([](Simulation& sim) -> Coro<> {
        sim.host("server", serve_echo);
        auto& client = sim.host("client", []() -> Coro<> {
            auto [reader, writer] = co_await open_connection("server", 7777);
            (void)co_await reader.readline();  // nobody says anything
        });
        co_await client.finished();
    });
    EXPECT_THAT(failure, AllOf(HasSubstr("seed 7: deadlock"), HasSubstr("ASYNCIO_SEED=7"),
                               HasSubstr("on host client:"), HasSubstr("waiting for read")));
}

TEST(SimulationFailures, what_takes_too_long_after_the_faults) {
    EXPECT_THAT(failure_of([](Simulation&) -> Coro<> { co_await sleep(1h); }),
                AllOf(HasSubstr("no end"), HasSubstr("sleep")));
}

TEST(SimulationFailures, what_leaves_a_program) {
    EXPECT_THAT(failure_of([](Simulation& sim) -> Coro<> {
                    sim.host("bad", []() -> Coro<> {
                        co_await sleep(1s);
                        throw std::runtime_error("broken");
                    });
                    co_await sleep(5s);
                }),
                HasSubstr("host bad threw std::runtime_error: broken"));
}

TEST(SimulationFailures, what_nobody_retrieved) {
    EXPECT_THAT(failure_of([](Simulation&) -> Coro<> {
                    get_running_loop().call_soon([] { throw std::runtime_error("lost"); });
                    co_await sleep(5s);
                }),
                HasSubstr("host world reported: Exception in callback: std::runtime_error: lost"));
}

TEST(SimulationFailures, descriptors_that_were_left) {
    EXPECT_THAT(failure_of([](Simulation&) -> Coro<> {
                    (void)os::simulated_system->open_socket(2, 1);
                    co_return;
                }),
                HasSubstr("host world left descriptor 0 (stream ) open"));
}

TEST(SimulationFailures, the_unpredictable) {
    static int runs = 0;
    runs = 0;
    const auto world = [](Simulation& sim) -> Coro<> {
        sim.host("server", serve_echo);
        co_await sleep(1s);
        for (int i = ++runs; i > 0; --i) (void)co_await ask("server", "x\n");
    };
    EXPECT_THROW(simulate_seeds(1, world, good()), SimulationFailed);
}

}  // namespace
}  // namespace asyncio::testing
