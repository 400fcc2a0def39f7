// SPDX-License-Identifier: MIT
//
// Graceful shutdown: on SIGTERM the server takes no more clients, lets the requests in flight
// finish within a deadline, cancels those that do not, and ends. Here it sends itself the signal,
// when two requests are in flight.
//
//     ./dev example 46
//
// prints:
//     the signal came
//     quick: done
//     slow: cut off
//     all are gone
#include <asyncio/asyncio.hpp>

#include <csignal>
#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

using Handlers = std::vector<asyncio::AnyTask>;

Coro<> work(Handlers& handlers, asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    const std::string job = co_await reader.readline();
    handlers.push_back(asyncio::current_task());
    if (handlers.size() == 2) std::raise(SIGTERM);
    co_await asyncio::sleep(job == "quick\n" ? 300ms : 1h);
    writer.write("done\n");
    co_await writer.drain();
}

Coro<> client(std::uint16_t port, std::string job) {
    auto [reader, writer] = co_await asyncio::open_connection("127.0.0.1", port);
    writer.write(job + "\n");
    const auto answer = co_await asyncio::as_outcome(reader.readline());
    const bool done = answer && *answer == "done\n";
    std::printf("%s: %s\n", job.c_str(), done ? "done" : "cut off");
    writer.close();
}

Coro<> serve() {
    auto& loop = asyncio::get_running_loop();
    asyncio::Event stop;
    loop.add_signal_handler(SIGTERM, [&] { stop.set(); });
    Handlers handlers;
    auto server = co_await asyncio::start_server(
        [&](auto& reader, auto& writer) { return work(handlers, reader, writer); }, "127.0.0.1", 0);
    const auto port = server.sockets()[0].getsockname().port();
    auto clients = asyncio::gather(client(port, "quick"), client(port, "slow"));
    co_await stop.wait();
    std::puts("the signal came");
    server.close();  // no more clients
    auto [done, late] = co_await asyncio::wait(handlers, {.timeout = 1s});
    for (auto& handler : late) handler.cancel();
    co_await server.wait_closed();
    co_await clients;
    std::puts("all are gone");
}

int main() { return asyncio::run_main(serve()); }
