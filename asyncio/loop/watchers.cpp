// SPDX-License-Identifier: MIT
#include <asyncio/loop/watchers.hpp>

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/slow_report.hpp>

namespace asyncio::loop {

/// One direction of one descriptor. Freed when it is out of the table and out of the ready queue.
class Watchers::Watch final : public Runnable, private kernel::Operation {
public:
    Watch(EventLoop& loop, int descriptor, bool for_writing, UniqueFunction<void()> f)
        : Runnable(&take_turn),
          Operation(kernel::Opcode::poll, &on_ready),
          writer(for_writing),
          loop_(loop),
          callback_(std::move(f)) {
        fd = descriptor;
        events = for_writing ? POLLOUT : POLLIN;
    }

    using Operation::fd;

    void arm() noexcept {
        if (!loop_.kernel().submit(*this)) enqueue();
    }

    void retire() noexcept {
        retired_ = true;
        loop_.kernel().reclaim(*this);
        if (!queued_ && !running_) delete this;
    }

    const bool writer;

private:
    static void on_ready(kernel::Operation& operation, const kernel::Completion& completion) {
        if (completion.result == -ECANCELED) return;
        static_cast<Watch&>(operation).enqueue();
    }
    void enqueue() noexcept {
        queued_ = true;
        loop_.core().ready.push(*this);
    }

    static void take_turn(Runnable& runnable, Turn turn) {
        auto& self = static_cast<Watch&>(runnable);
        self.queued_ = false;
        if (turn == Turn::run && !self.retired_) self.call();
        if (self.retired_) delete &self;
    }
    void call() {
        struct Running {  // also when a fatal exception passes
            ~Running() {
                self.running_ = false;
                if (!self.retired_) self.arm();
            }
            Watch& self;
        } running{*this};
        running_ = true;
        const SlowReport report(loop_, "descriptor callback");
        try {
            callback_();
        } catch (...) {
            loop_.callback_failed("Exception in descriptor callback", Handle());
        }
    }

    EventLoop& loop_;
    UniqueFunction<void()> callback_;
    bool queued_ = false;
    bool running_ = false;
    bool retired_ = false;
};

Watchers::Watchers(EventLoop& loop) noexcept : loop_(loop) {}

Watchers::~Watchers() { clear(); }

Watchers::Watch* Watchers::find(int fd, bool writer) noexcept {
    const auto it = std::ranges::find_if(
        watches_, [&](const Watch* w) { return w->fd == fd && w->writer == writer; });
    return it == watches_.end() ? nullptr : *it;
}

void Watchers::add(int fd, bool writer, UniqueFunction<void()> f) {
    if (fd < 0 || ::fcntl(fd, F_GETFD) < 0)
        throw std::invalid_argument("not a file descriptor: " + std::to_string(fd));
    remove(fd, writer);
    watches_.reserve(watches_.size() + 1);
    auto* watch = new Watch(loop_, fd, writer, std::move(f));
    watches_.push_back(watch);
    watch->arm();
}

bool Watchers::remove(int fd, bool writer) noexcept {
    Watch* watch = find(fd, writer);
    if (watch == nullptr) return false;
    std::erase(watches_, watch);
    watch->retire();
    return true;
}

void Watchers::clear() noexcept {
    while (!watches_.empty()) {
        Watch* watch = watches_.back();
        watches_.pop_back();
        watch->retire();
    }
}

}  // namespace asyncio::loop
