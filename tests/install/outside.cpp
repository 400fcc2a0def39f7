// A program outside the project: it sees only what is installed.
#include <asyncio/asyncio.hpp>

#include <cstdio>

asyncio::Coro<int> answer() { co_return 42; }

asyncio::Coro<> program() {
    const int value = co_await answer();
    std::printf("the answer is %d\n", value);
}

int main() { asyncio::run(program()); }
