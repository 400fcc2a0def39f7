// SPDX-License-Identifier: MIT
//
// Five programs at once, each with its own input and output; one that does not exist; and one that
// takes too long.
//
//     ./dev example 37
//
// prints:
//     PROGRAM 1
//     PROGRAM 2
//     PROGRAM 3
//     PROGRAM 4
//     PROGRAM 5
//     run no-such-program: No such file or directory
//     the slow one ended with -15
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <ranges>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<std::string> shout(int number) {
    auto tr = co_await asyncio::create_subprocess_exec(
        {.stdin_ = asyncio::PIPE, .stdout_ = asyncio::PIPE}, "tr", "a-z", "A-Z");
    auto [out, err] = co_await tr.communicate("program " + std::to_string(number));
    co_return out;
}

Coro<> give_up_on_a_slow_one() {
    auto slow = co_await asyncio::create_subprocess_exec("sleep", "60");
    try {
        co_await asyncio::wait_for(slow.wait(), 50ms);
    } catch (const asyncio::TimeoutError&) {
        slow.terminate();  // a timeout leaves the program running
    }
    const int code = co_await slow.wait();
    std::printf("the slow one ended with %d\n", code);
}

Coro<> run_programs() {
    const auto answers = co_await asyncio::gather(asyncio::map(std::views::iota(1, 6), shout));
    for (const std::string& answer : answers) std::puts(answer.c_str());
    try {
        co_await asyncio::create_subprocess_exec("no-such-program");
    } catch (const std::system_error& error) {
        std::puts(error.what());
    }
    co_await give_up_on_a_slow_one();
}

int main() { return asyncio::run_main(run_programs()); }
