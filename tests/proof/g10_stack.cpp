// SPDX-License-Identifier: MIT
//
// G10: the stack stays as it is, whatever awaits whatever (B1, B2). Everything runs in a thread
// with a stack of 256 KiB: awaits that complete at once, a chain of coroutines made, awaited and
// unwound, the same chain thrown through, and dropped without having run, and a chain of tasks
// cancelled at its end.
#include <asyncio/asyncio.hpp>

#include <stdexcept>
#include <tests/proof/figure.hpp>

#include <pthread.h>

using namespace asyncio;

namespace {

constexpr std::size_t kStackBytes = 256 * 1024;

Coro<std::uint64_t> one() { co_return 1; }

Coro<std::uint64_t> awaits(std::uint64_t count) {
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < count; i++) sum += co_await one();
    co_return sum;
}

/// `depth` frames that await one another.
Coro<std::uint64_t> nested(std::uint64_t depth, bool failing) {
    if (depth == 0) {
        if (failing) throw std::runtime_error("at the bottom");
        co_await sleep(Duration(0));
        co_return 0;
    }
    const std::uint64_t below = co_await nested(depth - 1, failing);
    co_return below + 1;
}

Coro<std::uint64_t> wrapped(Coro<std::uint64_t> inner) {
    const std::uint64_t below = co_await std::move(inner);
    co_return below + 1;
}

Coro<std::uint64_t> follow(Task<std::uint64_t> inner) {
    const std::uint64_t below = co_await inner;
    co_return below + 1;
}

Coro<std::uint64_t> sleep_long() {
    co_await sleep(std::chrono::hours(1));
    co_return 1;
}

Coro<bool> task_chain_cancelled(std::uint64_t depth) {
    Task<std::uint64_t> chain = create_task(sleep_long());
    for (std::uint64_t i = 1; i < depth; i++) chain = create_task(follow(std::move(chain)));
    co_await sleep(Duration(0));
    chain.cancel();
    try {
        co_await chain;
    } catch (const CancelledError&) {
        co_return true;
    }
    co_return false;
}

/// Coroutines made each from the last, which then run inside out or never at all.
Coro<std::uint64_t> chain_awaited(std::uint64_t depth, bool run) {
    Coro<std::uint64_t> chain = one();
    for (std::uint64_t i = 1; i < depth; i++) chain = wrapped(std::move(chain));
    if (!run) co_return depth;
    co_return co_await std::move(chain);
}

Coro<bool> fails(std::uint64_t depth) {
    try {
        co_await nested(depth, true);
    } catch (const std::runtime_error&) {
        co_return true;
    }
    co_return false;
}

Coro<> all(proof::Goal& goal) {
    const auto count = goal.scaled<std::uint64_t>({100'000, 10'000'000, 100'000'000});
    const auto depth = goal.scaled<std::uint64_t>({50'000, 1'000'000, 3'000'000});
    const auto says = [&goal](std::uint64_t done, std::uint64_t of, const char* what) {
        const std::string number = proof::Goal::number(static_cast<double>(of));
        goal.line(done == of, number + " " + what + " on a stack of 256 KiB");
    };
    says(co_await awaits(count), count, "awaits that complete at once");
    says(co_await nested(depth, false), depth, "nested coroutines that suspend at the bottom");
    const bool thrown = co_await fails(depth);
    says(thrown ? depth : 0, depth, "nested coroutines thrown through");
    says(co_await chain_awaited(depth, true), depth, "coroutines made before they run");
    says(co_await chain_awaited(depth, false), depth, "coroutines dropped without having run");
    const bool cancelled = co_await task_chain_cancelled(depth);
    says(cancelled ? depth : 0, depth, "tasks in a chain, cancelled at its end");
}

void* run_all(void* goal) {
    asyncio::run(all(*static_cast<proof::Goal*>(goal)));
    return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
    proof::Goal goal("G10 stack", argc, argv);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, run_all, &goal) != 0) return 1;
    pthread_join(thread, nullptr);
    return goal.result();
}
