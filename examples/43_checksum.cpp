// SPDX-License-Identifier: MIT
//
// Checksums of a whole tree, many files at a time: reading waits for the disk, counting happens on
// threads, and neither is in the other's way. At most kAtOnce files are open, a piece of each in
// memory.
//
//     ./dev example 43 DIRECTORY
//     ./dev example 43               a demonstration
//
// prints:
//     cbf29ce484222325  empty
//     a430d84680aabd0b  greeting
//     24c638d05c2865e5  sub/million
//     3 files
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace fs = asyncio::fs;
using asyncio::Coro;

constexpr int kAtOnce = 16;
constexpr std::size_t kPiece = 1u << 20;  // bytes

/// FNV-1a, 64 bits. Not against attackers.
std::uint64_t add_to_sum(std::uint64_t sum, std::string_view data) {
    for (const char c : data) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return sum;
}

Coro<std::uint64_t> checksum(std::string path) {
    asyncio::File file = co_await asyncio::open(path, "rb", {.buffering = 0});
    std::uint64_t sum = 0xcbf29ce484222325;
    for (;;) {
        const std::string piece = co_await file.read(kPiece);
        if (piece.empty()) break;
        sum = co_await asyncio::to_thread([&] { return add_to_sum(sum, piece); });
    }
    co_await file.close();
    co_return sum;
}

Coro<std::string> line_for(asyncio::Semaphore& room, std::string root, std::string name) {
    const auto held = co_await room.scoped();
    const auto sum = co_await asyncio::as_outcome(checksum(root + "/" + name));
    if (!sum) co_return asyncio::describe(sum.error());  // one bad file does not stop the others
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(*sum));
    co_return text + ("  " + name);
}

Coro<> print_checksums(std::string root) {
    asyncio::Semaphore room(kAtOnce);
    std::vector<Coro<std::string>> lines;
    auto walk = fs::walk(root);
    while (auto* step = co_await walk.next()) {
        const std::string below = step->path.substr(root.size());
        for (const std::string& name : step->files) {
            const std::string path = below.empty() ? name : below.substr(1) + "/" + name;
            lines.push_back(line_for(room, root, path));
        }
    }
    std::vector<std::string> sums = co_await asyncio::gather(std::move(lines));
    std::ranges::sort(sums, {}, [](const std::string& line) { return line.substr(18); });
    for (const std::string& line : sums) std::printf("%s\n", line.c_str());
    std::printf("%zu files\n", sums.size());
}

Coro<> demonstrate(std::string& folder) {
    co_await fs::makedirs(folder + "/sub");
    co_await fs::write_file(folder + "/greeting", "hello");
    co_await fs::write_file(folder + "/empty", "");
    const std::string million(1'000'000, 'a');
    co_await fs::write_file(folder + "/sub/million", million);
    co_await print_checksums(folder);
}

int main(int argc, char** argv) {
    if (argc > 1) return asyncio::run_main(print_checksums(argv[1]));
    return asyncio::run_main(asyncio::with(fs::TemporaryDirectory(), demonstrate));
}
