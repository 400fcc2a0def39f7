// SPDX-License-Identifier: MIT
//
// What the fuzz targets share. A target is a function of bytes:
//
//     FUZZ_TARGET(buffer) {
//         while (!input.empty()) switch (input.below(5)) { ... FUZZ_CHECK(real == model); }
//     }
//
// It takes its choices from the bytes, does with the library what they say, and compares with a
// model that is too simple to be wrong. What it checks it says by FUZZ_CHECK, which stays in every
// build and ends the program; sanitizers and assertions see the rest.
//
// libFuzzer drives a target through fuzzer.cpp (./dev fuzz), the committed inputs go through
// replay.cpp in every ordinary build, with both compilers. So a target must not depend on anything
// but its bytes: time is virtual, and nothing blocks.
#pragma once

#include <asyncio/kernel/kernel.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_listing.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::fuzz {

/// The bytes, as a source of choices. When they are used up every choice is 0.
class Input {
  public:
    explicit Input(std::span<const std::uint8_t> bytes) noexcept : bytes_(bytes) {}

    bool empty() const noexcept { return bytes_.empty(); }
    std::uint8_t byte() noexcept {
        if (empty()) return 0;
        const std::uint8_t first = bytes_.front();
        bytes_ = bytes_.subspan(1);
        return first;
    }
    /// 0 to n - 1.
    std::size_t below(std::size_t n) noexcept { return byte() % n; }
    bool chance() noexcept { return (byte() & 1) != 0; }
    std::uint64_t number(int bytes) noexcept {
        std::uint64_t value = 0;
        for (int i = 0; i < bytes; ++i) value = value << 8 | byte();
        return value;
    }
    /// The next `count` bytes, or what is left.
    std::string_view text(std::size_t count) noexcept {
        const std::span<const std::uint8_t> taken = bytes_.first(std::min(count, bytes_.size()));
        bytes_ = bytes_.subspan(taken.size());
        return {reinterpret_cast<const char*>(taken.data()), taken.size()};
    }
    std::string_view rest() noexcept { return text(bytes_.size()); }

  private:
    std::span<const std::uint8_t> bytes_;
};

/// One of the ways to use a parser, as the first byte says.
template <class... Ways>
void one_of(Input& input, Ways... ways) {
    void (*const all[])(Input&) = {ways...};
    all[input.below(sizeof...(Ways))](input);
}

struct Target {
    using Function = void (*)(Input&);

    Target(const char* target_name, Function target_function) noexcept
        : name(target_name), function(target_function), next(std::exchange(first(), this)) {}
    static const Target*& first() noexcept {
        static const Target* list = nullptr;
        return list;
    }

    const char* name;
    Function function;
    const Target* next;
};

[[noreturn]] inline void fail(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "%s:%d: FUZZ_CHECK(%s) does not hold\n", file, line, condition);
    std::abort();
}

#define FUZZ_CHECK(condition) \
    ((condition) ? void() : ::asyncio::fuzz::fail(#condition, __FILE__, __LINE__))

#define FUZZ_TARGET(name)                                                         \
    static void fuzz_##name(::asyncio::fuzz::Input& input);                       \
    static const ::asyncio::fuzz::Target fuzz_target_##name(#name, &fuzz_##name); \
    static void fuzz_##name([[maybe_unused]] ::asyncio::fuzz::Input& input)

/// A kernel that has nothing to do with any system: its time jumps, and no operation exists.
class StillKernel : public kernel::Kernel {
  public:
    std::string_view name() const noexcept override { return "still"; }
    TimePoint now() noexcept override { return now_; }
    Duration timer_grid() const noexcept override { return Duration(1); }
    void attach_to_thread() override {}
    bool submit(kernel::Operation& operation) noexcept override {
        operation.inline_result = -38;  // ENOSYS
        return false;
    }
    void cancel(kernel::Operation&) noexcept override {}
    void reclaim(kernel::Operation&) noexcept override {}
    void close(int) noexcept override {}
    bool may_have_events() const noexcept override { return false; }
    void wait(std::optional<Duration> timeout) override {
        if (std::exchange(woken_, false)) return;
        if (!timeout) throw std::logic_error("the program waits for ever");
        now_ += *timeout;
    }
    void wake() noexcept override { woken_ = true; }
    std::size_t in_flight() const noexcept override { return 0; }

  private:
    TimePoint now_{std::chrono::hours(1000)};
    bool woken_ = false;
};

/// Run a coroutine on a loop of its own; nothing may be left behind.
inline void run(Coro<> program,
                std::unique_ptr<kernel::Kernel> kernel = std::make_unique<StillKernel>()) {
    EventLoop loop(std::move(kernel));
    loop.run_until_complete(std::move(program));
    FUZZ_CHECK(all_tasks(loop).empty());
    loop.close();
}

/// Give the loop turns until `ended`, which may not take for ever.
inline Coro<> turn_until(const bool& ended) {
    constexpr int kMostTurns = 5000;
    int turns = 0;
    while (!ended) {
        FUZZ_CHECK(turns++ < kMostTurns);
        co_await sleep(Duration::zero());
    }
}

}  // namespace asyncio::fuzz
