// SPDX-License-Identifier: MIT
//
// Background tasks: they run on while we do something else. The loop keeps a running task alive, so
// that a handle may be dropped; who keeps it can ask, wait, or be told of the end.
//
//     ./dev example 4
//
// prints:
//     letters are on their way
//     Task-2: to Ada
//     Task-3: to Bob
//     3 tasks run, the parcel is not done
//     parcel sent: 7 kg
//     the parcel weighs 7 kg
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> letter(std::string name) {
    std::printf("%s: to %s\n", asyncio::current_task().get_name().c_str(), name.c_str());
    co_await asyncio::sleep(10s);
}

Coro<int> parcel() {
    co_await asyncio::sleep(50ms);
    co_return 7;
}

Coro<> post_office() {
    for (const char* name : {"Ada", "Bob"}) (void)asyncio::create_task(letter(name));
    asyncio::Task<int> heavy = asyncio::create_task(parcel(), {.name = "parcel"});
    heavy.add_done_callback(
        [](asyncio::Task<int>& t) { std::printf("parcel sent: %d kg\n", t.result()); });
    std::puts("letters are on their way");
    co_await asyncio::sleep(1ms);
    std::printf("%zu tasks run, the parcel is %s\n", asyncio::all_tasks().size() - 1,
                heavy.done() ? "done" : "not done");
    const int weight = co_await heavy;
    std::printf("the parcel weighs %d kg\n", weight);
}  // what still runs is cancelled at the end of run()

int main() { asyncio::run(post_office()); }
