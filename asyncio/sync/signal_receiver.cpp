// SPDX-License-Identifier: MIT
#include <asyncio/loop/signal_handlers.hpp>
#include <asyncio/sync/signal_receiver.hpp>
#include <asyncio/task/wait_list.hpp>

#include <algorithm>
#include <atomic>
#include <vector>

namespace asyncio {

namespace sync {

/// What a receiver and those who wait for it share.
class SignalInbox final : private loop::SignalListener, private loop::Member {
  public:
    SignalInbox(EventLoop& loop, std::initializer_list<int> signals)
        : handlers_(loop.signals()), taps_(signals.size()) {
        arrived_.reserve(signals.size());
        try {
            const loop::signal_table::Lock held = loop::signal_table::lock();
            for (const int signal : signals) tap(held, signal);
        } catch (...) {
            untap();
            throw;
        }
        handlers_.listeners().push_back(*this);
        loop.members().push_back(*this);
    }
    SignalInbox(const SignalInbox&) = delete;
    SignalInbox& operator=(const SignalInbox&) = delete;
    ~SignalInbox() { close(); }

    bool open() const noexcept { return loop::Member::linked(); }
    bool has_arrived() const noexcept { return !arrived_.empty(); }

    std::optional<int> take() noexcept {
        if (arrived_.empty()) return std::nullopt;
        const int signal = arrived_.front();
        arrived_.erase(arrived_.begin());
        return signal;
    }

    void close() noexcept {
        if (!open()) return;
        loop::Member::unlink();
        shut();
        waiting.wake_all();
    }

    task::WaitList waiting;

  private:
    void tap(const loop::signal_table::Lock& held, int signal) {
        loop::signal_table::check(signal);
        for (std::size_t i = 0; i < tapped_; ++i)
            if (taps_[i].signal == signal) return;
        loop::SignalTap& tap = taps_[tapped_];
        tap.sink = this;
        tap.signal = signal;
        loop::signal_table::add(held, tap);
        ++tapped_;
    }

    void untap() noexcept {
        const loop::signal_table::Lock held = loop::signal_table::lock();
        while (tapped_ != 0) loop::signal_table::remove(held, taps_[--tapped_]);
    }

    /// No more signals, from anywhere.
    void shut() noexcept {
        untap();
        loop::SignalListener::unlink();
    }

    void raised(int signal) noexcept override {
        raised_.fetch_or(loop::bit_of(signal));
        handlers_.note();
    }

    void deliver() noexcept override {
        const std::uint64_t raised = raised_.exchange(0);
        for (std::size_t i = 0; i < tapped_; ++i) {
            const int signal = taps_[i].signal;
            if ((raised & loop::bit_of(signal)) != 0 && !std::ranges::count(arrived_, signal))
                arrived_.push_back(signal);  // has room: reserved for all
        }
        if (has_arrived()) waiting.wake_all();
    }

    /// Whoever waits goes with the loop.
    void loop_closed() noexcept override { shut(); }

    loop::SignalHandlers& handlers_;
    std::vector<loop::SignalTap> taps_;
    std::size_t tapped_ = 0;
    std::atomic<std::uint64_t> raised_{0};  // bit n-1: signal n
    std::vector<int> arrived_;              // each once, in their order
};

namespace {

Coro<std::optional<int>> next_signal(Shared<SignalInbox> inbox) {
    while (!inbox->has_arrived() && inbox->open()) co_await task::NextWake(inbox->waiting);
    co_return inbox->take();
}

}  // namespace

}  // namespace sync

SignalReceiver::SignalReceiver(Shared<sync::SignalInbox> inbox) noexcept
    : inbox_(std::move(inbox)) {}

SignalReceiver::SignalReceiver(SignalReceiver&&) noexcept = default;

SignalReceiver& SignalReceiver::operator=(SignalReceiver&& other) noexcept {
    if (this == &other) return *this;
    close();
    inbox_ = std::move(other.inbox_);
    return *this;
}

SignalReceiver::~SignalReceiver() { close(); }

void SignalReceiver::close() noexcept {
    if (inbox_) inbox_->close();
}

ASYNCIO_CORO_WRAPPER Coro<std::optional<int>> SignalReceiver::next() const {
    return sync::next_signal(inbox_);
}

SignalReceiver open_signal_receiver(std::initializer_list<int> signals) {
    return SignalReceiver(Shared<sync::SignalInbox>::make(get_running_loop(), signals));
}

}  // namespace asyncio
