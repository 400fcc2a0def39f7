// SPDX-License-Identifier: MIT
//
// A conversation with a program that goes on running: each line is turned round by sed, and given
// back at once. Input and output may be a terminal, a pipe or a file.
//
//     ./dev example 38 talk     with you, until Ctrl-D
//     ./dev example 38          a demonstration
//
// prints:
//     Tell me about yourself.
//     Why do you say you like your cat?
//     Why do you say you are tired?
//     Goodbye.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <optional>
#include <string>

using namespace std::chrono_literals;
using asyncio::Coro;

constexpr auto kPatience = 5s;

Coro<std::string> ask(asyncio::Process& listener, std::string line) {
    if (!line.ends_with('\n')) line += '\n';
    listener.stdin_().write(line);
    std::string answer = co_await asyncio::wait_for(listener.stdout_().readline(), kPatience);
    co_return answer;
}

/// `lines`: any async iterator.
template <class Lines>
Coro<> talk(asyncio::Process& listener, Lines lines) {
    auto output = asyncio::open_stdout();
    output.write("Tell me about yourself.\n");
    while (std::optional<std::string> line = co_await lines.next()) {
        const std::string answer = co_await ask(listener, std::move(*line));
        if (answer.empty()) break;
        output.write(answer);
        co_await output.drain();
    }
    output.write("Goodbye.\n");
    output.close();
    co_await output.wait_closed();
}

asyncio::AsyncGenerator<std::string> somebody() {
    co_yield "I like my cat";
    co_yield "I am tired.";
}

Coro<> listen(bool to_you) {
    asyncio::Process listener = co_await asyncio::create_subprocess_exec(
        {.stdin_ = asyncio::PIPE, .stdout_ = asyncio::PIPE}, "sed", "--unbuffered",
        R"(s/\bI am\b/you are/g; s/\bI\b/you/g; s/\bmy\b/your/g; s/^/Why do you say /; s/\.*$/?/)");
    if (to_you) {
        const auto input = asyncio::open_stdin();
        co_await talk(listener, input.lines());
    } else {
        co_await talk(listener, somebody());
    }
    listener.stdin_().close();  // that is its end, too
    const int code = co_await asyncio::wait_for(listener.wait(), kPatience);
    if (code != 0) std::fprintf(stderr, "sed ended with %d\n", code);
}

int main(int argc, char**) { return asyncio::run_main(listen(argc > 1)); }
