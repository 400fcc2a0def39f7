// SPDX-License-Identifier: MIT
//
// Files without blocking the loop: write some, count the lines of all of them side by side, replace
// one at once.
//
//     build/dev/example_41_files
#include <asyncio/asyncio.hpp>

#include <cstdio>

namespace fs = asyncio::fs;
using asyncio::Coro;

Coro<> write_poem(std::string path, int verses) {
    auto write = [verses](asyncio::File& file) -> Coro<> {
        for (int i = 1; i <= verses; ++i) co_await file.write("verse " + std::to_string(i) + "\n");
    };
    co_await asyncio::with(asyncio::open(path, "w"), write);
}

Coro<int> count_lines(std::string path) {
    asyncio::File file = co_await asyncio::open(path);
    auto lines = file.lines();
    int count = 0;
    while (auto line = co_await lines.next()) ++count;
    co_await file.close();
    co_return count;
}

Coro<> use_files(std::string& folder) {
    for (int i = 1; i <= 3; ++i)
        co_await write_poem(folder + "/poem-" + std::to_string(i), 1000 * i);
    std::vector<Coro<int>> counts;
    for (int i = 1; i <= 3; ++i)
        counts.push_back(count_lines(folder + "/poem-" + std::to_string(i)));
    const std::vector<int> lines = co_await asyncio::gather(std::move(counts));
    std::printf("lines: %d %d %d\n", lines[0], lines[1], lines[2]);

    co_await fs::write_atomic(folder + "/poem-1", "all in one piece\n");
    const std::string poem = co_await fs::read_file(folder + "/poem-1");
    std::printf("%s", poem.c_str());
    const std::uint64_t copied = co_await fs::copy(folder + "/poem-2", folder + "/copy");
    const std::vector<std::string> names = co_await fs::listdir(folder);
    std::printf("%zu files, one of them a copy of %llu bytes\n", names.size(),
                static_cast<unsigned long long>(copied));
}

int main() {
    asyncio::run([]() -> Coro<> { co_await asyncio::with(fs::TemporaryDirectory(), use_files); });
}
