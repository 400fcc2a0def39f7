// SPDX-License-Identifier: MIT
//
// Timeouts: try something that hangs, for longer each time.
//
//     build/dev/example_12_retry
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<std::string> ask_the_oracle() {
    co_await asyncio::sleep(150ms);
    co_return "42";
}

Coro<std::string> ask_patiently() {
    for (auto patience = 50ms; patience < 1s; patience *= 2) {
        try {
            co_return co_await asyncio::wait_for(ask_the_oracle(), patience);
        } catch (const asyncio::TimeoutError&) {
            std::printf("no answer within %d ms\n", static_cast<int>(patience.count()));
        }
    }
    co_return "nothing";
}

Coro<> pilgrim() {
    const std::string answer = co_await ask_patiently();
    std::printf("the oracle says %s\n", answer.c_str());
}

}  // namespace

int main() { asyncio::run(pilgrim()); }
