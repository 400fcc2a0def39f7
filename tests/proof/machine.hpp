// SPDX-License-Identifier: MIT
//
// What goals ask the machine: memory and descriptors of this process, and how late the system
// itself is in waking a thread, so that a busy machine is not taken for a slow loop.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <thread>
#include <vector>

#include <dirent.h>
#include <time.h>
#include <unistd.h>

namespace asyncio::proof {

/// Memory of this process that is in use, in bytes.
inline std::size_t resident_bytes() {
    std::size_t pages = 0;
    std::size_t resident = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%zu %zu", &pages, &resident) != 2) resident = 0;
        std::fclose(file);
    }
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// What this process has used of processors, in seconds.
inline double cpu_seconds() {
    timespec used = {};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

inline int open_descriptors() {
    int count = 0;
    DIR* directory = ::opendir("/proc/self/fd");
    while (::readdir(directory) != nullptr) ++count;
    ::closedir(directory);
    return count;
}

/// A thread that sleeps again and again and notes how late it is woken, in milliseconds.
class Control {
  public:
    explicit Control(std::chrono::nanoseconds nap)
        : thread_([this, nap] {
              while (!over_) {
                  const auto due = std::chrono::steady_clock::now() + nap;
                  std::this_thread::sleep_until(due);
                  late_.push_back(std::chrono::duration<double, std::milli>(
                                      std::chrono::steady_clock::now() - due)
                                      .count());
              }
          }) {}
    /// All of them, sorted. To be called once.
    std::vector<double> stop() {
        over_ = true;
        thread_.join();
        std::sort(late_.begin(), late_.end());
        return std::move(late_);
    }

  private:
    std::atomic<bool> over_{false};
    std::vector<double> late_;
    std::thread thread_;  // last: it uses the others
};

/// Of sorted numbers.
inline double percentile(const std::vector<double>& sorted, std::size_t percent) {
    return sorted.empty() ? 0 : sorted[(sorted.size() - 1) * percent / 100];
}

}  // namespace asyncio::proof
