// SPDX-License-Identifier: MIT
#include <asyncio/os/cpu.hpp>
#include <asyncio/os/error.hpp>

#include <algorithm>
#include <cerrno>
#include <vector>

#include <pthread.h>
#include <sched.h>

namespace asyncio::os {

namespace {

/// Room for 8192 cores; the kernel refuses a mask smaller than its own.
constexpr std::size_t kMostCores = 8192;
constexpr std::size_t kNameBytes = 16;  // with the terminating zero

/// The numbers of the cores this thread may use; empty if the system does not say.
std::vector<int> allowed_cores() {
    std::vector<int> cores;
    alignas(cpu_set_t) unsigned char bytes[CPU_ALLOC_SIZE(kMostCores)] = {};
    auto* mask = reinterpret_cast<cpu_set_t*>(bytes);
    if (::sched_getaffinity(0, sizeof bytes, mask) != 0) return cores;
    for (int core = 0; core < static_cast<int>(kMostCores); ++core)
        if (CPU_ISSET_S(core, sizeof bytes, mask)) cores.push_back(core);
    return cores;
}

}  // namespace

int usable_cores() noexcept {
    alignas(cpu_set_t) unsigned char bytes[CPU_ALLOC_SIZE(kMostCores)] = {};
    const auto* mask = reinterpret_cast<const cpu_set_t*>(bytes);
    if (::sched_getaffinity(0, sizeof bytes, reinterpret_cast<cpu_set_t*>(bytes)) != 0) return 1;
    return std::max(CPU_COUNT_S(sizeof bytes, mask), 1);
}

void pin_to_core(int index) {
    const std::vector<int> cores = allowed_cores();
    if (cores.empty()) throw_system_error(ENOSYS, "pin a thread to a core");
    const int core = cores[static_cast<std::size_t>(index) % cores.size()];
    alignas(cpu_set_t) unsigned char bytes[CPU_ALLOC_SIZE(kMostCores)] = {};
    auto* mask = reinterpret_cast<cpu_set_t*>(bytes);
    CPU_SET_S(core, sizeof bytes, mask);
    if (::sched_setaffinity(0, sizeof bytes, mask) != 0)
        throw_system_error(errno, "pin a thread to core " + std::to_string(core));
}

void name_this_thread(const std::string& name) noexcept {
    ::pthread_setname_np(::pthread_self(), name.substr(0, kNameBytes - 1).c_str());
}

std::string name_of_this_thread() {
    char name[kNameBytes] = {};
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    return name;
}

}  // namespace asyncio::os
