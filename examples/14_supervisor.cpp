// SPDX-License-Identifier: MIT
//
// A supervisor: workers that crash are started again, after a pause; an event ends all of them.
//
//     ./dev example 14
//
// prints:
//     reader starts
//     writer starts
//     writer crashed: disk is full
//     writer starts
//     ...
//     all workers have stopped
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> reader() { co_await asyncio::sleep(10s); }

Coro<> writer() {
    co_await asyncio::sleep(50ms);
    throw std::runtime_error("disk is full");
}

Coro<> keep_alive(const char* name, Coro<> (*worker)()) {
    for (;;) {
        std::printf("%s starts\n", name);
        try {
            co_await worker();
        } catch (const std::exception& error) {  // a cancellation is none, and passes
            std::printf("%s crashed: %s\n", name, error.what());
        }
        co_await asyncio::sleep(10ms);
    }
}

Coro<> supervise(asyncio::Event& stop) {
    std::vector<asyncio::Task<>> workers;
    workers.push_back(asyncio::create_task(keep_alive("reader", reader)));
    workers.push_back(asyncio::create_task(keep_alive("writer", writer)));
    co_await stop.wait();
    for (const auto& worker : workers) worker.cancel();
    co_await asyncio::wait(workers);
    std::puts("all workers have stopped");
}

Coro<> program() {
    asyncio::Event stop;
    asyncio::get_running_loop().call_later(800ms, [&] { stop.set(); });
    co_await supervise(stop);
}

int main() { asyncio::run(program()); }
