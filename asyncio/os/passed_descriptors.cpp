// SPDX-License-Identifier: MIT
#include <asyncio/os/fd.hpp>
#include <asyncio/os/passed_descriptors.hpp>

#include <algorithm>
#include <cstring>

#include <sys/socket.h>

namespace asyncio::os {

namespace {

#ifdef SCM_PIDFD
constexpr int kProcess = SCM_PIDFD;
#else
constexpr int kProcess = 4;  // since Linux 6.5
#endif

}  // namespace

/// Afterwards `numbers_` are those of the first header that has any; empty at the end.
void PassedDescriptors::next_header() noexcept {
    while (numbers_.size() < sizeof(int) && rest_.size() >= sizeof(cmsghdr)) {
        cmsghdr header;
        std::memcpy(&header, rest_.data(), sizeof header);
        if (header.cmsg_len < sizeof header) break;
        const std::size_t size = std::min<std::size_t>(header.cmsg_len, rest_.size());
        const bool is_ours = header.cmsg_level == SOL_SOCKET &&
                             (header.cmsg_type == SCM_RIGHTS || header.cmsg_type == kProcess);
        if (is_ours) numbers_ = rest_.first(size).subspan(std::min(CMSG_LEN(0), size));
        is_sent_ = header.cmsg_type == SCM_RIGHTS;
        rest_ = rest_.subspan(std::min<std::size_t>(CMSG_ALIGN(size), rest_.size()));
    }
}

bool PassedDescriptors::next() noexcept {
    if (numbers_.size() < sizeof number_) next_header();
    if (numbers_.size() < sizeof number_) return false;
    std::memcpy(&number_, numbers_.data(), sizeof number_);
    numbers_ = numbers_.subspan(sizeof number_);
    return true;
}

TakenDescriptors take_descriptors(std::span<const std::byte> control,
                                  std::span<int> into) noexcept {
    TakenDescriptors taken;
    for (PassedDescriptors passed(control); passed.next();) {
        Fd descriptor(passed.number());
        if (!passed.is_sent()) continue;
        if (taken.count < into.size())
            into[taken.count++] = descriptor.release();
        else
            taken.dropped = true;
    }
    return taken;
}

}  // namespace asyncio::os
