// SPDX-License-Identifier: MIT
//
// AsyncGenerator: a body that yields, waits, catches and throws as the input says, and a consumer
// that asks, throws into it, closes, cancels and drops it, against the states of its head comment.
//
// covers: task/async_generator.hpp task/async_generator.cpp
#include <asyncio/task/async_generator.hpp>
#include <asyncio/task/sleep.hpp>

#include <optional>
#include <vector>

#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

struct Thrown {
    int number;
};

/// What the body does at each of its turns.
enum class Act : std::uint8_t { yield, wait_and_yield, yield_and_catch, end, raise };

struct Books {
    std::vector<Act> acts;
    int alive = 0;  // bodies between begin and end
    bool saw_exit = false;
};

struct Alive {
    explicit Alive(Books& b) : books(b) { ++books.alive; }
    ~Alive() { --books.alive; }
    Books& books;
};

AsyncGenerator<int> body(Books& books) {
    const Alive alive(books);
    int number = 0;
    for (const Act act : books.acts) {
        ++number;
        if (act == Act::end) co_return;
        if (act == Act::raise) throw Thrown{-number};
        if (act == Act::wait_and_yield) co_await sleep(std::chrono::seconds(1));
        if (act != Act::yield_and_catch) {
            co_yield number;
            continue;
        }
        bool exit = false;
        try {
            co_yield number;
        } catch (const GeneratorExit&) {
            exit = true;
        } catch (const Thrown&) {  // goes on
        }
        if (!exit) continue;
        books.saw_exit = true;
        co_await sleep(Duration::zero());
        co_return;
    }
}

class Script {
  public:
    explicit Script(Input& input) : input_(input) {
        for (std::size_t n = input.below(8); n > 0; --n)
            books_.acts.push_back(static_cast<Act>(input.below(5)));
        generator_.emplace(body(books_));
    }
    Coro<> run() {
        for (int steps = 0; !input_.empty() && steps < 40; ++steps) {
            co_await step();
            FUZZ_CHECK(books_.alive == (begun_ && !over_ ? 1 : 0));
        }
        switch (books_.acts.size() % 3) {  // three ways to end
            case 0:
                generator_.reset();
                break;
            case 1:
                co_await get_running_loop().shutdown_asyncgens();
                break;
            default: {
                AsyncGenerator<int> other = body(others_);
                *generator_ = std::move(other);
            }
        }
        FUZZ_CHECK(books_.alive == 0);
    }

  private:
    Coro<> step() {
        switch (input_.below(6)) {
            case 0:
            case 1:
            case 2:
                co_await ask();
                break;
            case 3:
                co_await throw_into();
                break;
            case 4:
                co_await close();
                break;
            default:
                co_await ask_and_cancel();
        }
    }

    /// The next act, from where the body stands: the number it yields, nothing at its end, or
    /// minus the number it throws.
    std::optional<int> go_on() {
        begun_ = true;
        if (over_ || place_ == books_.acts.size()) {
            over_ = true;
            return std::nullopt;
        }
        const Act act = books_.acts[place_++];
        over_ = act == Act::end || act == Act::raise;
        if (act == Act::end) return std::nullopt;
        return static_cast<int>(place_) * (act == Act::raise ? -1 : 1);
    }
    bool catches() const {
        return begun_ && !over_ && books_.acts[place_ - 1] == Act::yield_and_catch;
    }

    Coro<> ask() {
        std::optional<int> seen;
        try {
            seen = co_await generator_->next();
        } catch (const Thrown& thrown) {
            seen = thrown.number;
        }
        FUZZ_CHECK(seen == go_on());
    }
    Coro<> throw_into() {
        std::optional<int> seen;
        try {
            seen = co_await generator_->athrow(std::make_exception_ptr(Thrown{1000}));
        } catch (const Thrown& thrown) {
            seen = thrown.number;
        }
        if (catches()) {
            FUZZ_CHECK(seen == go_on());
            co_return;
        }
        // It leaves the body at once, or comes back from one that is over or never began.
        FUZZ_CHECK(seen == 1000 || (over_ && seen == std::nullopt));
        over_ = true;
    }
    Coro<> close() {
        const bool sees = catches();
        books_.saw_exit = false;
        co_await generator_->aclose();
        FUZZ_CHECK(books_.saw_exit == sees);
        over_ = true;
    }
    /// While it waits, a cancellation comes out of it, and it is over.
    Coro<> ask_and_cancel() {
        const bool waits =
            !over_ && place_ < books_.acts.size() && books_.acts[place_] == Act::wait_and_yield;
        Task<int> asking = create_task(number_of_next());
        co_await sleep(Duration::zero());
        FUZZ_CHECK(asking.done() == !waits);
        if (waits) co_await ask_in_between();
        asking.cancel();
        co_await sleep(Duration::zero());
        FUZZ_CHECK(asking.done() && asking.cancelled() == waits);
        if (!waits) {
            FUZZ_CHECK(asking.result() == go_on().value_or(0));
            co_return;
        }
        begun_ = over_ = true;
    }
    /// Another is at it: that is an error, and changes nothing.
    Coro<> ask_in_between() {
        bool refused = false;
        try {
            (void)co_await generator_->next();
        } catch (const std::logic_error&) {
            refused = true;
        }
        FUZZ_CHECK(refused);
    }
    Coro<int> number_of_next() {
        int number = 0;
        try {
            const std::optional<int> next = co_await generator_->next();
            number = next.value_or(0);
        } catch (const Thrown& thrown) {
            number = thrown.number;
        }
        co_return number;
    }

    Input& input_;
    Books books_;
    Books others_;
    std::optional<AsyncGenerator<int>> generator_;
    std::size_t place_ = 0;
    bool begun_ = false;
    bool over_ = false;
};

Coro<> play(Input& input) {
    Script script(input);
    co_await script.run();
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(generator) { asyncio::fuzz::run(asyncio::fuzz::play(input)); }
