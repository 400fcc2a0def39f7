// SPDX-License-Identifier: MIT
//
// Reading many small files, and copying a large one.
//
//     bench_files DIRECTORY      with f0 ... f9999 of 4 KiB, and `big` of 1 GiB
//
// The copy is made twice: with fs::copy, which leaves it to the system, and in pieces read and
// written by us, as programs do that look at what they copy.
#include <asyncio/file/file.hpp>
#include <asyncio/file/fs.hpp>
#include <asyncio/file/whole_file.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include "harness.hpp"

namespace {

using asyncio::Coro;

constexpr int kFiles = 10'000;
constexpr std::size_t kFileSize = 4096;
constexpr int kAtOnce = 64;
constexpr std::int64_t kBigSize = std::int64_t{1} << 30;
constexpr std::size_t kPiece = 1u << 20;
constexpr int kPiecesAtOnce = 8;

Coro<> read_files(int& next) {
    while (next < kFiles) {
        const std::string name = "f" + std::to_string(next++);
        const std::string text = co_await asyncio::fs::read_file(name);
        if (text.size() != kFileSize) throw std::runtime_error("wrong size of " + name);
    }
}

void emit(const char* name, double value, const char* unit, bool lower) {
    std::printf(R"({"bench":"%s","impl":"asyncio","value":%.2f,"unit":"%s","lower":%s})"
                "\n",
                name, value, unit, lower ? "true" : "false");
    std::fflush(stdout);
}

Coro<> read_all() {
    int next = 0;
    const bench::Stopwatch watch;  // a running loop, as the others have one
    std::vector<Coro<>> readers;
    for (int i = 0; i < kAtOnce; ++i) readers.push_back(read_files(next));
    co_await asyncio::gather(std::move(readers));
    emit("read 10k files of 4 KiB", watch.per(kFiles) / 1000, "us/file", true);
}

Coro<> copy_pieces(const asyncio::File& from, const asyncio::File& to, std::int64_t& next) {
    std::vector<std::byte> memory(kPiece);
    while (next < kBigSize) {
        const std::int64_t at = std::exchange(next, next + static_cast<std::int64_t>(kPiece));
        const std::size_t got = co_await from.pread_into(memory, at);
        const std::string_view piece(reinterpret_cast<const char*>(memory.data()), got);
        co_await to.pwrite(piece, at);
    }
}

Coro<> copy_by_pieces(std::string folder) {
    asyncio::File from = co_await asyncio::open(folder + "/big", "r", {.buffering = 0});
    asyncio::File to = co_await asyncio::open(folder + "/out", "w", {.buffering = 0});
    std::int64_t next = 0;
    std::vector<Coro<>> copiers;
    for (int i = 0; i < kPiecesAtOnce; ++i) copiers.push_back(copy_pieces(from, to, next));
    co_await asyncio::gather(std::move(copiers));
    co_await from.close();
    co_await to.close();
}

Coro<> copy_whole(std::string folder) {
    co_await asyncio::fs::copy(folder + "/big", folder + "/out");
}

void measure_copy(const char* name, Coro<> (*copy)(std::string), const std::string& folder) {
    const bench::Stopwatch watch;
    asyncio::run(copy(folder));
    emit(name, 1024 / (watch.per(1) / 1e9), "MiB/s", false);
    asyncio::run(asyncio::fs::remove(folder + "/out"));
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) throw std::invalid_argument("usage: bench_files DIRECTORY");
    if (::chdir(argv[1]) != 0) throw std::runtime_error("no such directory");  // as the peers do
    const std::string folder = ".";
    asyncio::run(read_all());
    measure_copy("copy 1 GiB, 1 MiB chunks", copy_by_pieces, folder);
    measure_copy("copy 1 GiB, left to the system", copy_whole, folder);
}
