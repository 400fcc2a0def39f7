// SPDX-License-Identifier: MIT
//
// What the microbenchmarks share: arguments, clocks, sizes, one JSON line a figure.
//
//     PROGRAM [st|mt|all] [--only TEXT]        st: one thread; mt: several; default all
//
// A line: {"bench":"yield switch, 2 tasks","impl":"asyncio","value":12.3,"unit":"ns","lower":true}.
// Names and sizes are those of the peers' programs, so that lines of one run can be compared.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

namespace bench {

inline constexpr int kAwaits = 10'000'000;
inline constexpr int kSpawns = 1'000'000;
inline constexpr int kCrowds = 1000;
inline constexpr int kCrowd = 1000;  // tasks at a time
inline constexpr int kYields = 2'000'000;
inline constexpr int kTimers = 1'000'000;
inline constexpr int kSleepers = 100'000;
inline constexpr int kMemorySleepers = 1'000'000;
inline constexpr int kLocks = 5'000'000;
inline constexpr int kContenders = 1000;
inline constexpr int kContentions = 200;  // of each contender
inline constexpr int kItems = 2'000'000;
inline constexpr int kPosts = 1'000'000;
inline constexpr int kPings = 20'000;
inline constexpr int kBlockingCalls = 50'000;

inline constexpr const char* kAwait = "await trivial coroutine";
inline constexpr const char* kSpawnJoin = "spawn+join 1M tasks, per task";
inline constexpr const char* kSpawnAwait = "spawn+await one at a time";
inline constexpr const char* kCrowdAwait = "spawn+await 1,000 at a time, per task";
inline constexpr const char* kGather = "gather 1,000 ready coroutines, per child";
inline constexpr const char* kTaskGroup = "task group of 1,000 children, per child";
inline constexpr const char* kYield = "yield switch, 2 tasks";
inline constexpr const char* kYieldMany = "yield switch, 16 tasks";
inline constexpr const char* kTimer = "timer arm+cancel, 1M outstanding";
inline constexpr const char* kCallLater = "call_later+cancel, 1M outstanding";
inline constexpr const char* kSleep = "100k sleeps over 1 s, CPU per task";
inline constexpr const char* kCancel = "cancel 100k sleeping tasks, per task";
inline constexpr const char* kLock = "mutex uncontended lock+unlock";
inline constexpr const char* kContended = "mutex contended, 1000 tasks, per acquire";
inline constexpr const char* kChannel1 = "channel bounded 1, per item";
inline constexpr const char* kChannel64 = "channel bounded 64, per item";
inline constexpr const char* kChannel = "channel unbounded, per item";
inline constexpr const char* kThrow = "throw into suspended coroutine";
inline constexpr const char* kMemory = "memory per sleeping task";
inline constexpr const char* kPost = "cross-thread post throughput, per post";
inline constexpr const char* kPing = "cross-thread post latency";
inline constexpr const char* kBlocking = "blocking call in thread pool, round trip";

class Harness {
  public:
    Harness(int count, char** values, std::string name) : name_(std::move(name)) {
        for (int i = 1; i < count; ++i) {
            const std::string_view word = values[i];
            if (word == "--only" && i + 1 < count)
                only_ = values[++i];
            else
                group_ = word;
        }
    }

    bool wants(std::string_view group, std::string_view bench) const {
        const bool named = only_.empty() || bench.find(only_) != std::string_view::npos;
        return named && (group_ == group || group_ == "all");
    }

    void emit(const std::string& bench, double value, const char* unit = "ns") const {
        std::printf(R"({"bench":"%s","impl":"%s","value":%.3f,"unit":"%s","lower":true})"
                    "\n",
                    bench.c_str(), name_.c_str(), value, unit);
        std::fflush(stdout);
    }

  private:
    std::string name_;
    std::string group_ = "all";
    std::string only_;
};

inline std::int64_t now_ns() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

/// Time since it was made, divided by a count.
class Stopwatch {
  public:
    double per(double count) const { return static_cast<double>(now_ns() - start_) / count; }

  private:
    std::int64_t start_ = now_ns();
};

/// CPU time of the process, user and system.
inline double cpu_ns() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto ns = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_usec) * 1e3;
    };
    return ns(usage.ru_utime) + ns(usage.ru_stime);
}

inline double resident_bytes() {
    double pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    return pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

/// As many connections as the system lets us have.
inline void allow_many_descriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Keeps the compiler from seeing through a value.
template <class T>
void keep(T& value) {
    asm volatile("" : : "g"(&value) : "memory");
}

inline void spin_us(int us) {
    const std::int64_t end = now_ns() + std::int64_t{us} * 1000;
    while (now_ns() < end) {
    }
}

/// Median and 99th percentile.
inline void emit_latencies(const Harness& harness, const std::string& bench,
                           std::vector<double> values) {
    std::sort(values.begin(), values.end());
    harness.emit(bench + " p50", values[values.size() / 2]);
    harness.emit(bench + " p99", values[values.size() * 99 / 100]);
}

/// The delay of timer number i: spread, in no order, from 10 s on.
inline std::int64_t timer_delay_ms(int i) { return 10'000 + std::int64_t{i} * 7919 % 10'000; }

/// The delay of sleeper number i: spread over one second.
inline int sleep_ms(int i) { return 1 + static_cast<int>(std::int64_t{i} * 7919 % 1000); }

}  // namespace bench
