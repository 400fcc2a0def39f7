// SPDX-License-Identifier: MIT
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/slow_report.hpp>
#include <asyncio/loop/watchers.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/simulated.hpp>

#include <algorithm>
#include <stdexcept>
#include <string>

#include <poll.h>

namespace asyncio::loop {

namespace {

/// Place in the table of descriptors; the numbers of simulated ones are huge.
std::size_t index_of(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd);
    return os::is_simulated(fd) ? (index - os::kFirstSimulated) * 2 + 1 : index * 2;
}

}  // namespace

/// One direction of one descriptor. Freed when it is out of the table and out of the ready queue.
class Watchers::Watch final : public Runnable, private kernel::Operation {
  public:
    Watch(EventLoop& loop, int descriptor, bool for_writing, UniqueFunction<void()> f)
        : Runnable(&take_turn),
          Operation(kernel::Opcode::poll, &on_ready),
          writer(for_writing),
          loop_(loop),
          callback_(std::move(f)),
          context_(ContextSlot::copy_current()) {
        fd = descriptor;
        events = for_writing ? POLLOUT : POLLIN;
    }

    using Operation::fd;

    /// 0, or the negative error of a descriptor that cannot be watched.
    int arm() noexcept {
        if (loop_.kernel().submit(*this)) return 0;
        if (inline_result >= 0) enqueue();  // regular files are always ready
        return std::min(inline_result, 0);
    }

    void retire() noexcept {
        retired_ = true;
        loop_.kernel().reclaim(*this);
        if (running_) return;
        callback_ = nullptr;
        if (!queued_) delete this;
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
        struct Over {  // also when a fatal exception passes
            ~Over() {
                watch.running_ = false;
                if (watch.retired_)
                    delete &watch;
                else if (run)
                    (void)watch.arm();  // a descriptor closed meanwhile is not watched any more
            }
            Watch& watch;
            bool run;
        } over{self, turn == Turn::run};
        if (turn == Turn::run && !self.retired_) self.call();
    }
    void call() {
        running_ = true;
        const ContextScope scope(context_);
        const SlowReport report(loop_, "descriptor callback");
        try {
            callback_();
        } catch (...) {
            loop_.callback_failed("Exception in descriptor callback", Handle());
        }
    }

    EventLoop& loop_;
    UniqueFunction<void()> callback_;
    ContextSlot context_;  // for all its calls
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
    if (owns(fd))
        throw std::logic_error("File descriptor " + std::to_string(fd) + " is used by a transport");
    if (!os::is_open(fd))
        throw std::invalid_argument("not a file descriptor: " + std::to_string(fd));
    remove(fd, writer);
    watches_.reserve(watches_.size() + 1);
    auto* watch = new Watch(loop_, fd, writer, std::move(f));
    watches_.push_back(watch);
    const int error = watch->arm();
    if (error == 0) return;
    remove(fd, writer);
    if (error == -EBUSY)
        throw std::logic_error("descriptor " + std::to_string(fd) + " is used by a transport");
    os::throw_system_error(-error, "watch descriptor " + std::to_string(fd));
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

bool Watchers::owns(int fd) const noexcept {
    const std::size_t index = index_of(fd);
    return fd >= 0 && index < owned_.size() && owned_[index];
}

void Watchers::own(int fd, bool owned) {
    const std::size_t index = index_of(fd);
    if (index >= owned_.size()) {
        if (!owned) return;  // without memory: transports let go while they end
        owned_.resize(std::max<std::size_t>(index + 1, owned_.size() * 2));
    }
    owned_[index] = owned;
}

}  // namespace asyncio::loop
