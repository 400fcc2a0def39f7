// SPDX-License-Identifier: MIT
// error: none
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<int> work(int n, std::string) {
    co_await asyncio::sleep(1ms);
    co_return n;
}
Coro<> f() {
    const int n = co_await asyncio::create_task(work, 1, "text");
    co_await asyncio::gather(work(n, "a"), asyncio::create_task(work(n, "b"), {.name = "named"}));
}
int main() { asyncio::run(f()); }
