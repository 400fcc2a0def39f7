// SPDX-License-Identifier: MIT
//
// Starting programs and waiting for their end, one after the other and 64 at a time.
//
//     bench_spawn [--resident GIB]       with so much memory in use before
#include <asyncio/subprocess/process.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include <sys/mman.h>

#include "harness.hpp"

namespace {

using asyncio::Coro;

constexpr int kPrograms = 1000;
constexpr int kAtOnce = 64;

Coro<> run_one() {
    asyncio::Process process = co_await asyncio::create_subprocess_exec("/bin/true");
    const int code = co_await process.wait();
    if (code != 0) throw std::runtime_error("/bin/true ended with " + std::to_string(code));
}

Coro<> run_until_none_is_left(int& left) {
    while (left > 0) {
        --left;
        co_await run_one();
    }
}

Coro<> run_all(int at_once) {
    int left = kPrograms;
    std::vector<Coro<>> runners;
    for (int i = 0; i < at_once; ++i) runners.push_back(run_until_none_is_left(left));
    co_await asyncio::gather(std::move(runners));
}

void measure(const char* name, int at_once) {
    const bench::Stopwatch watch;
    asyncio::run(run_all(at_once));
    std::printf(R"({"bench":"%s","impl":"asyncio","value":%.2f,"unit":"us/child","lower":true})"
                "\n",
                name, watch.per(kPrograms) / 1000);
    std::fflush(stdout);
}

void use_memory(std::size_t size) {
    void* memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("not so much memory");
    std::memset(memory, 1, size);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string_view(argv[1]) == "--resident")
        use_memory(std::strtoull(argv[2], nullptr, 10) << 30);
    measure("spawn true x1000 sequential", 1);
    measure("spawn true x1000, 64 at a time", kAtOnce);
}
