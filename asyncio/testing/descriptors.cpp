// SPDX-License-Identifier: MIT
#include <asyncio/testing/descriptors.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

namespace asyncio::testing {

namespace {

constexpr int kLooks = 20;
constexpr int kPauseMilliseconds = 50;

std::string target_of(int directory, const char* name) {
    char target[PATH_MAX];
    const ssize_t size = ::readlinkat(directory, name, target, sizeof target);
    return size < 0 ? std::string() : std::string(target, static_cast<std::size_t>(size));
}

bool counts(const std::string& target) {
    return !target.empty() && target != "/dev/urandom" && target != "/dev/random";
}

}  // namespace

OpenDescriptors::OpenDescriptors() {
    DIR* directory = ::opendir("/proc/self/fd");
    if (directory == nullptr) return;  // no /proc: nothing is ever found
    const int own = ::dirfd(directory);
    while (const dirent* entry = ::readdir(directory)) {
        const char* const end = entry->d_name + std::strlen(entry->d_name);
        int fd = -1;
        if (std::from_chars(entry->d_name, end, fd).ptr != end || fd == own) continue;
        std::string target = target_of(own, entry->d_name);
        if (counts(target)) open_.emplace_back(fd, std::move(target));
    }
    ::closedir(directory);
    std::ranges::sort(open_);
}

std::vector<std::string> OpenDescriptors::not_in(const OpenDescriptors& before) const {
    std::vector<std::string> fresh;
    for (const auto& descriptor : open_)
        if (!std::ranges::binary_search(before.open_, descriptor))
            fresh.push_back(std::to_string(descriptor.first) + " (" + descriptor.second + ")");
    return fresh;
}

std::vector<std::string> OpenDescriptors::since(const OpenDescriptors& before) {
    std::vector<std::string> fresh = OpenDescriptors().not_in(before);
    for (int look = 1; look < kLooks && !fresh.empty(); ++look) {
        ::poll(nullptr, 0, kPauseMilliseconds);
        fresh = OpenDescriptors().not_in(before);
    }
    return fresh;
}

}  // namespace asyncio::testing
