// SPDX-License-Identifier: MIT
#include <asyncio/loop/inbox.hpp>

#include <algorithm>
#include <stdexcept>

namespace asyncio::loop {

/// One entry posted from the loop's own thread, in the ready queue.
class Inbox::Ticket final : public Runnable, public IntrusiveListNode<Inbox::Ticket> {
  public:
    Ticket(Inbox& owner, Inbox::Function function, ContextSlot context, std::uint64_t number)
        : Runnable(&take_turn),
          entry(owner, std::move(function), std::move(context), number),
          inbox(owner) {}

    Entry entry;
    Inbox& inbox;

  private:
    static void take_turn(Runnable& runnable, Turn turn) {
        std::unique_ptr<Ticket> ticket(&static_cast<Ticket&>(runnable));
        Inbox& inbox = ticket->inbox;
        struct Leave {
            ~Leave() {
                std::lock_guard lock(inbox.mutex_);
                ticket.unlink();
            }
            Inbox& inbox;
            Ticket& ticket;
        } leave{inbox, *ticket};
        if (turn == Turn::run) inbox.run_entry(ticket->entry);
    }
};

Inbox::Inbox(RunQueue& ready, UniqueFunction<void()> wake)
    : ready_(ready), wake_(std::move(wake)) {}

Inbox::~Inbox() = default;

std::uint64_t Inbox::post(Function function, ContextSlot context) {
    const std::uint64_t number = put(function, context);
    if (number == 0) throw std::logic_error("Event loop is closed");
    return number;
}

bool Inbox::try_post(Function function) noexcept {
    ContextSlot none;
    return put(function, none) != 0;
}

/// Its number, or 0 if closed; then `function` is left alone.
std::uint64_t Inbox::put(Function& function, ContextSlot& context) {
    std::uint64_t number = 0;
    {
        std::lock_guard lock(mutex_);
        if (closed_) return 0;
        number = next_number_++;
        incoming_.emplace_back(*this, std::move(function), std::move(context), number);
        posted_.store(true, std::memory_order_seq_cst);
        // Under the lock: close() must not take the kernel away between the look and the wake.
        if (asleep_.load(std::memory_order_seq_cst) && asleep_.exchange(false)) wake_();
    }
    return number;
}

std::uint64_t Inbox::post_locally(Function function, ContextSlot context) {
    deliver();  // what other threads posted before keeps its place
    std::lock_guard lock(mutex_);
    if (closed_) throw std::logic_error("Event loop is closed");
    auto ticket =
        std::make_unique<Ticket>(*this, std::move(function), std::move(context), next_number_++);
    tickets_.push_back(*ticket);
    ready_.push(*ticket);
    return ticket.release()->entry.number;
}

void Inbox::deliver() {
    // The batch before comes first; it may be running below us on the stack.
    if (!posted_.load(std::memory_order_acquire) || !batch_.empty()) return;
    std::lock_guard lock(mutex_);
    batch_.swap(incoming_);
    posted_.store(false, std::memory_order_relaxed);
    batch_left_ = batch_.size();
    for (Entry& entry : batch_) ready_.push(entry);
}

void Inbox::Entry::take_turn(Runnable& runnable, Turn turn) {
    auto& entry = static_cast<Entry&>(runnable);
    struct Leave {  // also when a fatal exception passes
        ~Leave() { inbox.leave_batch(); }
        Inbox& inbox;
    } leave{*entry.inbox};
    if (turn == Turn::run)
        entry.inbox->run_entry(entry);
    else
        entry.inbox->drop_entry(entry);
}

void Inbox::leave_batch() {
    if (--batch_left_ != 0) return;
    std::lock_guard lock(mutex_);
    batch_.clear();
}

void Inbox::run_entry(Entry& entry) {
    State expected = State::waiting;
    runner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    if (!entry.state.compare_exchange_strong(expected, State::running)) return;
    struct Done {
        ~Done() {
            entry.function = nullptr;
            entry.state.store(State::done, std::memory_order_seq_cst);
            if (inbox.blocked_.load(std::memory_order_seq_cst) > 0) {
                std::lock_guard lock(inbox.mutex_);
                inbox.ended_.notify_all();
            }
        }
        Inbox& inbox;
        Entry& entry;
    } done{*this, entry};
    const ContextScope scope(entry.context);
    try {
        entry.function();
    } catch (...) {
        on_exception();  // rethrows what is fatal
    }
}

void Inbox::drop_entry(Entry& entry) {
    Function dropped;  // destroyed after the lock is released
    std::lock_guard lock(mutex_);
    State expected = State::waiting;
    if (entry.state.compare_exchange_strong(expected, State::cancelled))
        dropped = std::move(entry.function);
}

Inbox::Entry* Inbox::find(std::uint64_t number) {
    for (std::vector<Entry>* entries : {&batch_, &incoming_}) {
        const auto it = std::ranges::lower_bound(*entries, number, {}, &Entry::number);
        if (it != entries->end() && it->number == number) return &*it;
    }
    Entry* found = nullptr;
    tickets_.for_each([&](Ticket& ticket) {
        if (ticket.entry.number == number) found = &ticket.entry;
    });
    return found;
}

/// Block while entry `number` is running on another thread.
void Inbox::await_end(std::unique_lock<std::mutex>& lock, std::uint64_t number) {
    if (runner_.load() == std::this_thread::get_id()) return;
    blocked_.fetch_add(1, std::memory_order_seq_cst);
    ended_.wait(lock, [&] {
        const Entry* entry = find(number);
        return entry == nullptr || entry->state.load(std::memory_order_seq_cst) != State::running;
    });
    blocked_.fetch_sub(1);
}

bool Inbox::cancel(std::uint64_t number) {
    Function dropped;  // destroyed after the lock is released
    std::unique_lock lock(mutex_);
    Entry* entry = find(number);
    if (entry == nullptr) return false;
    State expected = State::waiting;
    if (entry->state.compare_exchange_strong(expected, State::cancelled)) {
        dropped = std::move(entry->function);
        return true;
    }
    await_end(lock, number);
    return false;
}

void Inbox::await_end(std::uint64_t number) {
    std::unique_lock lock(mutex_);
    await_end(lock, number);
}

void Inbox::close() {
    // What is dropped is destroyed after the lock is released: it may own handles of its own.
    // The batch is in the ready queue, which the loop discards.
    std::vector<Entry> dropped;
    std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(incoming_);
    posted_.store(false);
}

}  // namespace asyncio::loop
