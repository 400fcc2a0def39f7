// SPDX-License-Identifier: MIT
//
// Testing what a power cut leaves of a file: a program that keeps its balance on a simulated disk,
// and two hundred power cuts for each of three ways to write it. A disk may lose all that was not
// saved, or keep a part of it; the first two ways are found out. With GoogleTest these would be
// tests; see docs/testing.md.
//
//     ./dev example 51
//
// prints:
//     overwritten in place: the balance cannot be read
//     written beside it and renamed: a payment was lost
//     fs::write_atomic: 200 power cuts, no payment was lost

#include <asyncio/asyncio.hpp>
#include <asyncio/testing/simulation.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;
using asyncio::Coro;
using asyncio::testing::Simulation;

/// A way to write the file.
using Save = Coro<> (*)(std::string text);

// --- the program under test ----------------------------------------------------------------------

Coro<> overwrite(std::string text) { co_await asyncio::fs::write_file("balance", text); }

Coro<> write_and_rename(std::string text) {
    co_await asyncio::fs::write_file("balance.new", text);
    co_await asyncio::fs::rename("balance.new", "balance");
}

Coro<> write_atomic(std::string text) { co_await asyncio::fs::write_atomic("balance", text); }

std::string text_of(int balance) { return "balance " + std::to_string(balance) + "\n"; }

/// Payments of 1, for ever; `told`: what a customer was told after each.
Coro<> take_payments(Save save, int& told) {
    for (;;) {
        co_await save(text_of(told + 1));
        ++told;
        co_await asyncio::sleep(10ms);
    }
}

// --- the world -----------------------------------------------------------------------------------

/// The power fails at a moment of the seed's choice; then the disk is looked at.
Coro<> world(Simulation& sim, Save save) {
    int told = 0;
    auto& bank = sim.host("bank", [&]() -> Coro<> { co_await take_payments(save, told); });
    bank.disk().write("balance", text_of(0));
    co_await asyncio::sleep(sim.random().between(1us, 1s));
    bank.crash();
    co_await asyncio::sleep(1ms);
    const std::string left = bank.disk().read("balance").value_or("");
    int balance = -1;
    if (std::sscanf(left.c_str(), "balance %d", &balance) != 1 || left != text_of(balance))
        throw std::runtime_error("the balance cannot be read");
    // The payment that was on its way may be there or not; those that the customer knows of must.
    if (balance != told && balance != told + 1) throw std::runtime_error("a payment was lost");
}

void try_out(const char* name, Save save) {
    try {
        asyncio::testing::simulate_seeds(
            200, [save](Simulation& sim) -> Coro<> { co_await world(sim, save); });
        std::printf("%s: 200 power cuts, no payment was lost\n", name);
    } catch (const asyncio::testing::SimulationFailed& failed) {
        // what() has the seed; ASYNCIO_SEED=... runs that world again.
        const std::string what = failed.what();
        const bool unreadable = what.find("cannot be read") != std::string::npos;
        std::printf("%s: %s\n", name,
                    unreadable ? "the balance cannot be read" : "a payment was lost");
    }
}

int main() {
    try_out("overwritten in place", overwrite);
    try_out("written beside it and renamed", write_and_rename);
    try_out("fs::write_atomic", write_atomic);
}
