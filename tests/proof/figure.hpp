// SPDX-License-Identifier: MIT
//
// Goal: what a program of the proof says and how it is called.
//
//     int main(int argc, char** argv) {
//         proof::Goal goal("G7 cancel everywhere", argc, argv);
//         const int rounds = goal.scaled({.slice = 200, .push = 20'000, .nightly = 1'000'000});
//         ...
//         goal.figure(lost, {.at_most = 0}, std::to_string(rounds) + " rounds x 14 operations, {}
//         lost"); return goal.result();
//     }
//
// prints `G7 cancel everywhere, io_uring: 20000 rounds x 14 operations, 0 lost (limit 0)`; a miss
// ends with MISSED. Say what reproduces a miss (the seed, the round) with note(), before its
// figure.
//
// Arguments: --backend epoll|io_uring (then every loop of the process has that one), --slice (a few
// seconds), --nightly (long), --seed N, --only NAME (what that means is the program's own). Exit: 0
// all limits hold, 1 not, 2 wrong usage. Threads: of main().
#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::proof {

/// One number for each length of a run.
template <class T>
struct Scaled {
    T slice;
    T push;
    T nightly;
};

struct Limit {
    std::optional<double> at_most = {};
    std::optional<double> at_least = {};
};

class Goal {
  public:
    Goal(std::string title, int argc, char** argv) : title_(std::move(title)) {
        for (int i = 1; i < argc; i++) {
            const std::string_view word = argv[i];
            if (word == "--slice" || word == "--nightly") {
                length_ = word;
                continue;
            }
            if (i + 1 == argc) usage(argv[0]);
            const std::string value = argv[++i];
            if (word == "--backend" && (value == "epoll" || value == "io_uring"))
                backend_ = value;
            else if (word == "--seed")
                seed_ = std::strtoull(value.c_str(), nullptr, 0);
            else if (word == "--only")
                only_ = value;
            else
                usage(argv[0]);
        }
        if (!backend_.empty()) ::setenv("ASYNCIO_BACKEND", backend_.c_str(), 1);
        std::setvbuf(stdout, nullptr, _IOLBF, 0);
    }

    template <class T>
    T scaled(Scaled<T> numbers) const {
        return length_ == "--slice"     ? numbers.slice
               : length_ == "--nightly" ? numbers.nightly
                                        : numbers.push;
    }
    bool slice() const { return length_ == "--slice"; }
    /// A limit that needs a machine with nothing else to do: a slice runs beside other tests.
    Limit if_quiet(Limit limit) const { return slice() ? Limit{} : limit; }
    bool nightly() const { return length_ == "--nightly"; }
    /// What --backend said; empty if nothing.
    const std::string& backend() const { return backend_; }
    /// What --seed said.
    std::uint64_t seed(std::uint64_t otherwise) const { return seed_.value_or(otherwise); }
    bool has_seed() const { return seed_.has_value(); }
    /// True if --only was not given or names this.
    bool wants(std::string_view name) const { return only_.empty() || only_ == name; }
    /// True if --only names something in this: NAME:MORE.
    bool wants_part_of(std::string_view name) const {
        return only_.size() > name.size() && only_.starts_with(name) && only_[name.size()] == ':';
    }

    const std::string& only() const { return only_; }

    /// A line that is no figure.
    void note(const std::string& text) const { std::printf("    %s\n", text.c_str()); }

    /// A figure: `text` with the value in the place of "{}", and its limit.
    bool figure(double value, Limit limit, std::string text) {
        const bool holds = (!limit.at_most || value <= *limit.at_most) &&
                           (!limit.at_least || value >= *limit.at_least);
        if (const std::size_t at = text.find("{}"); at != std::string::npos)
            text.replace(at, 2, number(value));
        std::string limits;
        if (limit.at_least) limits += ">= " + number(*limit.at_least);
        if (limit.at_least && limit.at_most) limits += ", ";
        if (limit.at_most) limits += number(*limit.at_most);
        line(holds, text + (limits.empty() ? " (not judged)" : " (limit " + limits + ")"));
        return holds;
    }
    /// A figure in words of its own.
    void line(bool holds, const std::string& text) {
        std::printf("%s%s%s: %s%s\n", title_.c_str(), backend_.empty() ? "" : ", ",
                    backend_.c_str(), text.c_str(), holds ? "" : " MISSED");
        missed_ += holds ? 0 : 1;
        figures_++;
    }

    /// The exit status; a run without a figure has proved nothing.
    int result() const { return missed_ == 0 && figures_ > 0 ? 0 : 1; }

    /// 1234567 as it stands, 0.25 with its fraction.
    static std::string number(double value) {
        char text[64];
        if (value == static_cast<double>(static_cast<std::int64_t>(value)))
            std::snprintf(text, sizeof text, "%" PRId64, static_cast<std::int64_t>(value));
        else
            std::snprintf(text, sizeof text, "%.3g", value);
        return text;
    }

  private:
    [[noreturn]] static void usage(const char* program) {
        std::fprintf(stderr,
                     "usage: %s [--backend epoll|io_uring] [--slice | --nightly] [--seed N] "
                     "[--only NAME]\n",
                     program);
        std::exit(2);
    }

    std::string title_;
    std::string length_;
    std::string backend_;
    std::string only_;
    std::optional<std::uint64_t> seed_;
    int missed_ = 0;
    int figures_ = 0;
};

}  // namespace asyncio::proof
