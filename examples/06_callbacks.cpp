// SPDX-License-Identifier: MIT
//
// The bridge to a library that calls back: its callback completes a future, and our code awaits it.
// This library has a thread of its own, so that the call has to come over to the loop's.
//
//     ./dev example 6
//
// prints:
//     21.5 degrees
//     no answer: the sensor is broken
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <thread>

using asyncio::Coro;

/// A library that knows nothing of asyncio: calls back from its own thread, with a value or an
/// error.
template <class Callback>
std::jthread read_sensor(int number, Callback callback) {
    return std::jthread([=] { callback(number == 1 ? 21.5 : 0, number == 1 ? "" : "broken"); });
}

Coro<double> temperature(int number) {
    auto& loop = asyncio::get_running_loop();
    auto answer = loop.create_future<double>();
    auto thread = read_sensor(number, [&](double value, const char* error) {
        loop.call_soon_threadsafe([=] {
            if (answer.done()) return;  // nobody waits any more: we were cancelled
            const std::runtime_error broken("the sensor is " + std::string(error));
            *error ? answer.set_exception(std::make_exception_ptr(broken))
                   : answer.set_result(value);
        });
    });
    co_return co_await answer;
}

Coro<> weather() {
    const double degrees = co_await temperature(1);
    std::printf("%.1f degrees\n", degrees);
    try {
        co_await temperature(2);
    } catch (const std::runtime_error& error) {
        std::printf("no answer: %s\n", error.what());
    }
}

int main() { asyncio::run(weather()); }
