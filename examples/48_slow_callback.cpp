// SPDX-License-Identifier: MIT
//
// Finding what holds up the loop: debug mode reports each step that took too long, and where it
// stood. Here the reports go to standard output; by default they go to standard error.
//
//     ./dev example 48
//
// prints:
//     loading
//     loaded
//     Executing <Task... name='loader'... took ... seconds
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <thread>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> load() {
    std::puts("loading");
    std::this_thread::sleep_for(400ms);  // blocks the loop: co_await asyncio::sleep() would not
    std::puts("loaded");
    co_return;
}

Coro<> program() {
    asyncio::set_log_sink([](asyncio::LogLevel, std::string_view text) {
        std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
    });
    asyncio::get_running_loop().slow_callback_duration = 200ms;
    co_await asyncio::create_task(load(), {.name = "loader"});
}

int main() { return asyncio::run_main(program(), {.debug = true}); }
