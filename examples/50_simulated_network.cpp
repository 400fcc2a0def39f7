// SPDX-License-Identifier: MIT
//
// Testing on a simulated network: a shop whose orders must be booked exactly once, on two hundred
// bad networks. The first version of the shop books an order again when its answer was lost and the
// customer asks again; the simulation finds a network on which that happens. The second one
// remembers what it booked, and passes them all. With GoogleTest these would be tests; see
// docs/testing.md.
//
//     ./dev example 50
//
// prints:
//     the careless shop: an order was booked twice
//     the careful shop: 200 networks, every order booked once

#include <asyncio/asyncio.hpp>
#include <asyncio/testing/simulation.hpp>

#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;
using asyncio::Coro;
using asyncio::StreamReader;
using asyncio::StreamWriter;
using asyncio::testing::Simulation;

constexpr int kOrders = 10;

/// How often each order was booked: outside of the hosts, so that the world can look.
using Books = std::map<std::string, int>;

// --- the program under test ----------------------------------------------------------------------

Coro<> take_orders(Books& books, bool careful, StreamReader& reader, StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        if (!line->ends_with('\n')) break;  // the connection broke in the middle of it
        const std::string order(*line);
        if (!careful || !books.contains(order)) ++books[order];
        writer.write("booked " + order);
        co_await writer.drain();
    }
}

Coro<> run_shop(Books& books, bool careful) {
    auto handler = [&](StreamReader& reader, StreamWriter& writer) -> Coro<> {
        // A connection that breaks is the customer's business.
        (void)co_await asyncio::as_outcome(take_orders(books, careful, reader, writer));
    };
    asyncio::Server server = co_await asyncio::start_server(handler, "", 4000);
    co_await server.serve_forever();
}

Coro<> order(std::string text) {
    auto [reader, writer] = co_await asyncio::open_connection("shop", 4000);
    writer.write(text);
    const std::string answer = co_await reader.readline();
    if (answer != "booked " + text) throw std::runtime_error("no answer");
    writer.close();
    co_await writer.wait_closed();
}

/// Asks again until there is an answer, as customers do.
Coro<> buy() {
    for (int number = 0; number < kOrders;) {
        auto outcome = co_await asyncio::as_outcome(
            asyncio::wait_for(order(std::to_string(number) + "\n"), 2s));
        if (outcome.cancelled()) outcome.value();  // throws: somebody stops us
        if (outcome)
            ++number;
        else
            co_await asyncio::sleep(500ms);
    }
}

// --- the world -----------------------------------------------------------------------------------

/// A shop and a customer; the seed decides how bad the network is, and the shop's power fails once.
Coro<> world(Simulation& sim, bool careful) {
    Books books;
    auto& shop = sim.host("shop", [&]() -> Coro<> { co_await run_shop(books, careful); });
    auto& customer = sim.host("customer", buy);
    co_await asyncio::sleep(sim.random().between(0s, 3s));
    shop.crash();
    co_await asyncio::sleep(1s);
    shop.restart();
    co_await customer.finished();
    shop.crash();  // its program uses our books
    for (const auto& [number, times] : books)
        if (times != 1) throw std::runtime_error("an order was booked twice");
    if (books.size() != kOrders) throw std::logic_error("an order was lost");
}

int main() {
    try {
        asyncio::testing::simulate_seeds(
            200, [](Simulation& sim) -> Coro<> { co_await world(sim, false); });
    } catch (const asyncio::testing::SimulationFailed& failed) {
        // what() has the seed, and where every task stood; ASYNCIO_SEED=... runs that world again.
        const std::string what = failed.what();
        const bool found = what.find("booked twice") != std::string::npos;
        std::printf("the careless shop: %s\n", found ? "an order was booked twice" : what.c_str());
    }
    asyncio::testing::simulate_seeds(200,
                                     [](Simulation& sim) -> Coro<> { co_await world(sim, true); });
    std::printf("the careful shop: 200 networks, every order booked once\n");
}
