// SPDX-License-Identifier: MIT
#include <asyncio/file/closing.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/file.hpp>

#include <span>

namespace asyncio::file {

void Closing::take(os::Fd fd) noexcept {
    fds_[count_++] = fd.release();
    if (count_ == kMost)
        (void)close_now();
    else
        loop_.before_poll(*this);
}

bool Closing::close_now() noexcept {
    if (count_ == 0) return false;
    os::close_all(std::span(fds_).first(count_));
    count_ = 0;
    return true;
}

Coro<> Closing::shut_down() {
    (void)close_now();
    co_return;
}

}  // namespace asyncio::file
