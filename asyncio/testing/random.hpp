// SPDX-License-Identifier: MIT
//
// Random: numbers that one seed decides, the same on every machine and compiler (SplitMix64; the
// standard library's distributions differ from one to the next). Trace: what happened, as a number:
// the same for the same events in the same order. Threads: none of their own.
#pragma once

#include <asyncio/base/time.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace asyncio::testing {

constexpr std::uint64_t scramble(std::uint64_t value) noexcept {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

class Random {
  public:
    explicit Random(std::uint64_t seed) noexcept : state_(scramble(seed + 0x9e3779b97f4a7c15)) {}

    std::uint64_t next() noexcept { return scramble(state_ += 0x9e3779b97f4a7c15); }

    /// 0 <= result < bound. REQUIRES: bound > 0.
    std::uint64_t below(std::uint64_t bound) noexcept {
        assert(bound > 0);
        return next() % bound;  // the bias is of no consequence
    }
    std::size_t index(std::size_t size) noexcept { return static_cast<std::size_t>(below(size)); }
    /// least <= result <= most
    int between(int least, int most) noexcept {
        return least + static_cast<int>(below(static_cast<std::uint64_t>(most - least) + 1));
    }
    Duration between(Duration least, Duration most) noexcept {
        const auto width = static_cast<std::uint64_t>((most - least).count());
        return least + Duration(static_cast<Duration::rep>(below(width + 1)));
    }
    bool chance(double probability) noexcept {
        return static_cast<double>(next() >> 11) * 0x1p-53 < probability;
    }
    template <class T>
    void shuffle(std::vector<T>& items) noexcept {
        for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[index(i)]);
    }
    /// A generator of its own, for something whose appetite must not change what others get.
    Random branch() noexcept { return Random(next()); }

  private:
    std::uint64_t state_;
};

class Trace {
  public:
    void add(std::uint64_t value) noexcept {
        hash_ = scramble(hash_ ^ value) + 0x9e3779b97f4a7c15;
        ++events_;
    }
    template <class... Values>
    void add(std::uint64_t first, Values... rest) noexcept {
        add(first);
        (add(static_cast<std::uint64_t>(rest)), ...);
    }
    std::uint64_t hash() const noexcept { return hash_; }
    std::uint64_t events() const noexcept { return events_; }

  private:
    std::uint64_t hash_ = 0;
    std::uint64_t events_ = 0;
};

}  // namespace asyncio::testing
