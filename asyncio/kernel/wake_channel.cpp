// SPDX-License-Identifier: MIT
#include <asyncio/kernel/wake_channel.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/fork.hpp>

#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace asyncio::kernel {
namespace {

static_assert(std::atomic<bool>::is_always_lock_free, "wake() must be async-signal-safe");

int make_event(WakeChannel::Mode mode) {
    const int flags = mode == WakeChannel::Mode::non_blocking ? EFD_NONBLOCK : 0;
    const int fd = ::eventfd(0, EFD_CLOEXEC | flags);
    if (fd < 0) os::throw_system_error(errno, "create the wake-up eventfd");
    return fd;
}

}  // namespace

WakeChannel::WakeChannel(Mode mode)
    : mode_(mode), fork_generation_(os::fork_generation()), event_(make_event(mode)) {}

void WakeChannel::wake() noexcept {
    if (fork_generation_ != os::current_fork_generation) return;  // the parent's eventfd
    if (pending_.exchange(true, std::memory_order_acq_rel)) return;
    const int saved = errno;
    const std::uint64_t one = 1;
    // Cannot fail and cannot block: the counter takes 2^64 - 2 wakes. EINTR comes before anything
    // was written, and only from a blocking one.
    while (::write(event_.get(), &one, sizeof one) < 0 && errno == EINTR) {
    }
    errno = saved;
}

void WakeChannel::renew() {
    const os::Fd fresh(make_event(mode_));
    if (::dup3(fresh.get(), event_.get(), O_CLOEXEC) < 0)
        os::throw_system_error(errno, "renew the wake-up eventfd");
    acknowledge();
    wake();
}

}  // namespace asyncio::kernel
