// SPDX-License-Identifier: MIT
//
// A future made by hand: a result that does not exist yet, which somebody promises and others
// await.
//
//     ./dev example 5
//
// prints:
//     waiting for the oracle
//     Ada heard 42
//     Bob heard 42
//     the next oracle: no more questions
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> oracle(asyncio::Future<int> answer) {
    co_await asyncio::sleep(50ms);
    answer.set_result(42);
}

Coro<> listener(const char* name, asyncio::Future<int> answer) {
    const int heard = co_await answer;
    std::printf("%s heard %d\n", name, heard);
}

Coro<> temple() {
    auto answer = asyncio::get_running_loop().create_future<int>();
    std::puts("waiting for the oracle");
    co_await asyncio::gather(oracle(answer), listener("Ada", answer), listener("Bob", answer));

    auto next = asyncio::get_running_loop().create_future<int>();
    next.set_exception(std::make_exception_ptr(std::runtime_error("no more questions")));
    try {
        co_await next;
    } catch (const std::runtime_error& error) {
        std::printf("the next oracle: %s\n", error.what());
    }
}

int main() { asyncio::run(temple()); }
