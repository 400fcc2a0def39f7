// SPDX-License-Identifier: MIT
//
// Files without blocking the loop: write some, count the lines of all of them side by side, replace
// one at once.
//
//     ./dev example 41
//
// prints:
//     lines: 1000 2000 3000
//     all in one piece
//     4 files, one of them a copy of 20893 bytes
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <ranges>

namespace fs = asyncio::fs;
using asyncio::Coro;

Coro<> write_poem(std::string path, int verses) {
    co_await asyncio::with(asyncio::open(path, "w"), [&](asyncio::File& file) -> Coro<> {
        for (int i = 1; i <= verses; ++i) co_await file.write("verse " + std::to_string(i) + "\n");
    });
}

Coro<int> count_lines(std::string path) {
    int count = 0;
    co_await asyncio::with(asyncio::open(path), [&](asyncio::File& file) -> Coro<> {
        auto lines = file.lines();
        while (auto line = co_await lines.next()) ++count;
    });
    co_return count;
}

Coro<> use_files(std::string& folder) {
    std::vector<std::string> poems;
    for (int i = 1; i <= 3; ++i) poems.push_back(folder + "/poem-" + std::to_string(i));
    for (int i = 0; i < 3; ++i) co_await write_poem(poems[i], 1000 * (i + 1));
    const auto lines = co_await asyncio::gather(asyncio::map(poems, count_lines));
    std::printf("lines: %d %d %d\n", lines[0], lines[1], lines[2]);
    co_await fs::write_atomic(poems[0], "all in one piece\n");
    const std::string poem = co_await fs::read_file(poems[0]);
    std::printf("%s", poem.c_str());
    const std::uint64_t copied = co_await fs::copy(poems[1], folder + "/copy");
    const auto names = co_await fs::listdir(folder);
    std::printf("%zu files, one of them a copy of %ju bytes\n", names.size(), copied);
}

int main() { return asyncio::run_main(asyncio::with(fs::TemporaryDirectory(), use_files)); }
