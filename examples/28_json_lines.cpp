// SPDX-License-Identifier: MIT
//
// JSON lines from a stream: a server sends one object a line, the client adds them up as they come.
// (Needs nlohmann-json3-dev.)
//
//     ./dev example 28
//
// prints:
//     apples 3 at 0.50
//     pears 2 at 0.75
//     plums 10 at 0.10
//     total 4.00
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <nlohmann/json.hpp>

using asyncio::Coro;
using nlohmann::json;

Coro<> cash_desk(asyncio::StreamReader&, asyncio::StreamWriter& writer) {
    const json items = json::parse(R"([{"what": "apples", "count": 3, "price": 0.5},
        {"what": "pears", "count": 2, "price": 0.75}, {"what": "plums", "count": 10, "price": 0.1}])");
    for (const json& item : items) writer.write(item.dump() + "\n");
    co_await writer.drain();
}

Coro<> shop() {
    auto server = co_await asyncio::start_server(cash_desk, "127.0.0.1", 0);
    const std::uint16_t port = server.sockets()[0].getsockname().port();
    auto [reader, writer] = co_await asyncio::open_connection("127.0.0.1", port);
    double total = 0;
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        const json item = json::parse(*line);
        const auto what = item["what"].get<std::string>();
        const double price = item["price"];
        std::printf("%s %d at %.2f\n", what.c_str(), item["count"].get<int>(), price);
        total += item["count"].get<int>() * price;
    }
    std::printf("total %.2f\n", total);
    writer.close();
    server.close();
}

int main() { asyncio::run(shop()); }
