// SPDX-License-Identifier: MIT
//
// A resource pool: it lends its two connections to five workers. Whatever a worker does, its
// connection goes back at the end of the `with`.
//
//     ./dev example 27
//
// prints:
//     worker 1 has connection 1
//     worker 2 has connection 2
//     worker 3 has connection 1
//     worker 4 has connection 2
//     worker 5 has connection 1
//     1
//     4
//     worker 3 asked nonsense
//     16
//     25
//     2 connections are back
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <ranges>

using namespace std::chrono_literals;
using asyncio::Coro;

struct Connection {
    int number;
    Coro<int> query(int worker) {
        co_await asyncio::sleep(20ms);
        if (worker == 3) throw std::runtime_error("worker 3 asked nonsense");
        co_return worker* worker;
    }
};

using Pool = asyncio::Queue<Connection>;

/// What `with` enters: takes a connection, and gives it back.
struct Lease {
    Pool& pool;
    Connection connection{};
    Coro<Connection> aenter() {
        connection = co_await pool.get();
        co_return connection;
    }
    Coro<> aexit(std::exception_ptr) { co_await pool.put(connection); }
};

Coro<int> work(Pool& pool, int worker) {
    Lease lease{pool};
    co_return co_await asyncio::with(lease, [&](Connection& connection) {
        std::printf("worker %d has connection %d\n", worker, connection.number);
        return connection.query(worker);
    });
}

Coro<> office() {
    Pool pool;
    for (int i = 1; i <= 2; ++i) pool.put_nowait(Connection{i});
    auto workers = asyncio::map(std::views::iota(1, 6), [&](int n) { return work(pool, n); });
    const auto results = co_await asyncio::gather(asyncio::return_exceptions, std::move(workers));
    for (const asyncio::Outcome<int>& result : results) try {
            std::printf("%d\n", *result);
        } catch (const std::exception& error) {
            std::puts(error.what());
        }
    std::printf("%zu connections are back\n", pool.qsize());
}

int main() { asyncio::run(office()); }
