// SPDX-License-Identifier: MIT
//
// Five programs at once, each with its own input and output; and one that takes too long.
//
//     build/dev/example_37_subprocesses
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<std::string> shout(int number) {
    asyncio::Process tr = co_await asyncio::create_subprocess_exec(
        {.stdin_ = asyncio::PIPE, .stdout_ = asyncio::PIPE}, "tr", "a-z", "A-Z");
    auto [out, err] = co_await tr.communicate("program " + std::to_string(number));
    co_return out;
}

Coro<> give_up_on_a_slow_one() {
    asyncio::Process slow = co_await asyncio::create_subprocess_exec("sleep", "60");
    const auto status = co_await asyncio::as_outcome(asyncio::wait_for(slow.wait(), 50ms));
    if (!status) slow.terminate();  // a timeout leaves the program running
    const int code = co_await slow.wait();
    std::printf("the slow one ended with %d\n", code);
}

Coro<> run_programs() {
    std::vector<Coro<std::string>> programs;
    for (int i = 1; i <= 5; ++i) programs.push_back(shout(i));
    const std::vector<std::string> answers = co_await asyncio::gather(std::move(programs));
    for (const std::string& answer : answers) std::printf("%s\n", answer.c_str());
    const auto missing =
        co_await asyncio::as_outcome(asyncio::create_subprocess_exec("no-such-program"));
    if (!missing) std::printf("%s\n", asyncio::describe(missing.error()).c_str());
    co_await give_up_on_a_slow_one();
}

int main() { asyncio::run(run_programs()); }
