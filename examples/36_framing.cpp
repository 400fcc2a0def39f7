// SPDX-License-Identifier: MIT
//
// Exact framing through pipes: messages that may contain anything, newlines too, go to a program
// and come back, each behind its length in four bytes.
//
//     ./dev example 36
//
// prints:
//     hello
//     0 bytes
//     two|lines
//     100000 bytes
//     the program ended in the middle of a message
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

using asyncio::Coro;

void send(asyncio::StreamWriter& writer, std::string_view message) {
    const auto size = static_cast<std::uint32_t>(message.size());
    writer.write(std::as_bytes(std::span(&size, 1)));
    writer.write(message);
}

Coro<std::string> receive(asyncio::StreamReader& reader) {
    const std::string head = co_await reader.readexactly(4);
    std::uint32_t size = 0;
    std::memcpy(&size, head.data(), sizeof size);
    std::string message = co_await reader.readexactly(size);
    co_return message;
}

Coro<> converse() {
    auto cat = co_await asyncio::create_subprocess_exec(
        {.stdin_ = asyncio::PIPE, .stdout_ = asyncio::PIPE}, "cat");
    for (const std::string& text : {std::string("hello"), std::string(), std::string("two\nlines"),
                                    std::string(100'000, 'x')}) {
        send(cat.stdin_(), text);
        std::string answer = co_await receive(cat.stdout_());
        std::ranges::replace(answer, '\n', '|');
        const bool is_short = answer.size() > 0 && answer.size() < 10;
        std::puts(is_short ? answer.c_str() : (std::to_string(answer.size()) + " bytes").c_str());
    }
    cat.stdin_().write("half");
    cat.stdin_().close();
    try {
        co_await receive(cat.stdout_());
        co_await receive(cat.stdout_());
    } catch (const asyncio::IncompleteReadError&) {
        std::puts("the program ended in the middle of a message");
    }
    co_await cat.wait();
}

int main() { return asyncio::run_main(converse()); }
