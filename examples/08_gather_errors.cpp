// SPDX-License-Identifier: MIT
//
// gather() and errors: the first one is thrown at once and the others run on; with
// return_exceptions nothing is thrown, and each result is a value or an error.
//
//     ./dev example 8
//
// prints:
//     thrown: no such page: /b
//     /a: 2 bytes
//     std::runtime_error: no such page: /b
//     /c: 2 bytes
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <ranges>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<std::string> fetch(std::string path) {
    co_await asyncio::sleep(20ms);
    if (path == "/b") throw std::runtime_error("no such page: " + path);
    co_return path + ": " + std::to_string(path.size()) + " bytes";
}

Coro<> crawl() {
    try {
        co_await asyncio::gather(fetch("/a"), fetch("/b"), fetch("/c"));
    } catch (const std::runtime_error& error) {
        std::printf("thrown: %s\n", error.what());
    }
    auto pages = asyncio::map(std::vector{"/a", "/b", "/c"}, fetch);
    const auto results = co_await asyncio::gather(asyncio::return_exceptions, std::move(pages));
    for (const asyncio::Outcome<std::string>& result : results) {
        const std::string text = result ? *result : asyncio::describe(result.error());
        std::printf("%s\n", text.c_str());
    }
}

int main() { asyncio::run(crawl()); }
