// SPDX-License-Identifier: MIT
//
// Parallel downloads, one of which is cancelled midway: what it has so far is thrown away by its
// destructor, the others do not notice.
//
//     ./dev example 15
//
// prints:
//     movie: ... parts of 1000 thrown away
//     song: 5 parts
//     cancelled
//     photo: 2 parts
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

/// A file that is complete, or not there.
struct PartialFile {
    const char* name;
    int size;
    int parts = 0;
    ~PartialFile() {
        if (parts < size) std::printf("%s: %d parts of %d thrown away\n", name, parts, size);
    }
};

Coro<std::string> download(const char* name, int size) {
    PartialFile file{name, size};
    for (; file.parts < size; ++file.parts) co_await asyncio::sleep(40ms);
    co_return std::string(name) + ": " + std::to_string(size) + " parts";
}

Coro<> browser() {
    std::vector<asyncio::Task<std::string>> downloads;
    downloads.push_back(asyncio::create_task(download("song", 5)));
    downloads.push_back(asyncio::create_task(download("movie", 1000)));
    downloads.push_back(asyncio::create_task(download("photo", 2)));
    co_await asyncio::sleep(140ms);
    downloads[1].cancel();
    const auto results = co_await asyncio::gather(asyncio::return_exceptions, downloads);
    for (const asyncio::Outcome<std::string>& result : results)
        std::puts(result ? result->c_str() : "cancelled");
}

int main() { asyncio::run(browser()); }
