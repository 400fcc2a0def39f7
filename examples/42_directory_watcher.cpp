// SPDX-License-Identifier: MIT
//
// What happens in a directory, as it happens.
//
//     ./dev example 42 DIRECTORY     until Ctrl-C or SIGTERM
//     ./dev example 42               a demonstration
//
// prints:
//     created    letter
//     written    letter
//     moved_from letter
//     moved_to   answered
//     created    drawer/
//     removed    answered
//     removed    drawer/
//     the directory is gone
#include <asyncio/asyncio.hpp>

#include <csignal>
#include <cstdio>
#include <string>

namespace fs = asyncio::fs;
using asyncio::Coro;

const char* name_of(fs::Change::Kind kind) {
    static constexpr const char* kNames[] = {"created",    "modified", "written",
                                             "attributes", "removed",  "moved_from",
                                             "moved_to",   "overflow", "gone"};
    return kNames[static_cast<int>(kind)];
}

Coro<> print_changes(const fs::Watch& watch) {
    using enum fs::Change::Kind;
    while (auto change = co_await watch.next()) {
        if (change->kind == modified || change->kind == attributes) continue;  // many, and dull
        if (change->kind == overflow) std::puts("too much at once: look for yourself");
        if (change->kind == gone) std::puts("the directory is gone");
        if (change->name.empty()) continue;
        std::printf("%-10s %s%s\n", name_of(change->kind), change->name.c_str(),
                    change->is_dir ? "/" : "");
        std::fflush(stdout);
    }
}

Coro<> be_busy(std::string folder) {
    co_await fs::write_file(folder + "/letter", "Dear ...");
    co_await fs::rename(folder + "/letter", folder + "/answered");
    co_await fs::mkdir(folder + "/drawer");
    co_await fs::remove(folder + "/answered");
    co_await fs::rmtree(folder);
}

Coro<> demonstrate(std::string& folder) {
    const std::string watched = folder + "/desk";
    co_await fs::mkdir(watched);
    const fs::Watch watch = co_await fs::watch(watched);
    co_await asyncio::gather(print_changes(watch), be_busy(watched));
}

Coro<> watch_until_told(std::string folder) {
    auto signals = asyncio::open_signal_receiver(SIGINT, SIGTERM);
    const fs::Watch watch = co_await fs::watch(folder);
    std::printf("watching %s\n", folder.c_str());
    std::fflush(stdout);
    auto printing = asyncio::create_task(print_changes(watch));
    co_await signals.next();
    watch.close();  // ends the iteration
    co_await printing;
    std::puts("bye");
}

int main(int argc, char** argv) {
    if (argc > 1) return asyncio::run_main(watch_until_told(argv[1]));
    return asyncio::run_main(asyncio::with(fs::TemporaryDirectory(), demonstrate));
}
