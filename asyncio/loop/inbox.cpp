// SPDX-License-Identifier: MIT
#include <asyncio/loop/inbox.hpp>

#include <chrono>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>

#include <pthread.h>

namespace asyncio::loop {
namespace {

/// The inboxes there are, for handles that outlive them.
struct Registry {
    std::mutex mutex;
    IntrusiveList<Inbox> inboxes;
};

/// Never destroyed: loops may be static. A forked child has none of the threads that may hold its
/// mutex.
Registry& registry() {
    static auto* const the_one = new Registry;
    static const int guarded =
        ::pthread_atfork([] { the_one->mutex.lock(); }, [] { the_one->mutex.unlock(); },
                         [] { the_one->mutex.unlock(); });
    static_cast<void>(guarded);
    return *the_one;
}

std::uint64_t make_id() noexcept {
    static std::atomic<std::uint64_t> last = 0;
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

/// One entry posted from the loop's own thread, in the ready queue.
class Inbox::Ticket final : public Runnable, public IntrusiveListNode<Inbox::Ticket> {
  public:
    Ticket(Inbox& owner, Inbox::Function&& function, ContextSlot&& context, std::uint64_t n)
        : Runnable(&take_turn),
          entry(std::move(function), std::move(context)),
          inbox(owner),
          number(n) {}

    Entry entry;
    Inbox& inbox;
    const std::uint64_t number;

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
        inbox.runner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
        if (turn == Turn::run) inbox.run_entry(ticket->entry);
    }
};

Inbox::Inbox(RunQueue& ready, UniqueFunction<void()> wake)
    : id_(make_id()), ready_(ready), wake_(std::move(wake)) {
    const std::lock_guard lock(registry().mutex);
    registry().inboxes.push_back(*this);
}

Inbox::~Inbox() {
    const std::lock_guard lock(registry().mutex);
    unlink();
}

std::shared_ptr<Inbox> Inbox::find(std::uint64_t id) {
    const std::lock_guard lock(registry().mutex);
    std::shared_ptr<Inbox> found;
    registry().inboxes.for_each([&](Inbox& inbox) {
        if (inbox.id_ == id) found = inbox.weak_from_this().lock();
    });
    return found;
}

std::uint64_t Inbox::post(Function&& function, ContextSlot&& context) {
    const std::uint64_t number = put(function, context);
    if (number == 0) throw std::logic_error("Event loop is closed");
    return number;
}

bool Inbox::try_post(Function function) {
    ContextSlot none;
    for (;;) {
        try {
            return put(function, none) != 0;
        } catch (const std::bad_alloc&) {  // a result on its way: others wait for it
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
}

bool Inbox::try_post(Function function, Place& place) noexcept {
    try {
        ContextSlot none;
        return put(function, none) != 0;
    } catch (const std::bad_alloc&) {  // before anything was moved
    }
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return false;
        place.function_ = std::move(function);
        places_.push_back(place);
        if (!announce()) return true;
    }
    wake_loop();
    return true;
}

/// Under the mutex: something was posted. True if it is the caller who wakes the loop.
bool Inbox::announce() noexcept {
    if (posted_.load(std::memory_order_relaxed)) return false;  // whoever set it saw to a wake
    posted_.store(true, std::memory_order_seq_cst);
    if (!asleep_.load(std::memory_order_seq_cst) || !asleep_.exchange(false)) return false;
    waking_.fetch_add(1, std::memory_order_relaxed);
    return true;
}

void Inbox::wake_loop() {
    wake_();
    waking_.fetch_sub(1, std::memory_order_release);
}

/// Its number, or 0 if closed; then `function` is left alone.
std::uint64_t Inbox::put(Function& function, ContextSlot& context) {
    std::uint64_t number = 0;
    {
        std::lock_guard lock(mutex_);
        if (closed_) return 0;
        number = first_incoming_ + incoming_.size();
        incoming_.emplace_back(std::move(function), std::move(context));
        if (incoming_.size() + kAhead < incoming_.capacity())
            __builtin_prefetch(incoming_.data() + incoming_.size() + kAhead, 1);
        if (!announce()) return number;
    }
    wake_loop();
    return number;
}

std::uint64_t Inbox::post_locally(Function&& function, ContextSlot&& context) {
    deliver();  // what other threads posted before keeps its place
    std::lock_guard lock(mutex_);
    if (closed_) throw std::logic_error("Event loop is closed");
    auto ticket =
        std::make_unique<Ticket>(*this, std::move(function), std::move(context), next_ticket_++);
    tickets_.push_back(*ticket);
    ready_.push(*ticket);
    return ticket.release()->number;
}

void Inbox::deliver() {
    // The batch before comes first; it may be running below us on the stack.
    if (!posted_.load(std::memory_order_acquire) || delivered_) return;
    {
        std::lock_guard lock(mutex_);
        spare_.swap(batch_);
        batch_.swap(incoming_);
        first_of_batch_ = first_incoming_;
        first_incoming_ += batch_.size();
        delivered_places_.splice_back(places_);
        posted_.store(false, std::memory_order_relaxed);
    }
    spare_.clear();
    batch_position_ = 0;
    delivered_ = !batch_.empty() || !delivered_places_.empty();
    if (delivered_) ready_.push(batch_turn_);
}

void Inbox::BatchTurn::take_turn(Runnable& runnable, Turn turn) {
    static_cast<BatchTurn&>(runnable).inbox_.run_batch(turn);
}

void Inbox::run_batch(Runnable::Turn turn) {
    struct Leave {
        ~Leave() {
            inbox.delivered_ =  // or a fatal exception passes
                inbox.batch_position_ < inbox.batch_.size() || !inbox.delivered_places_.empty();
            inbox.batch_interrupted_ = inbox.delivered_;
        }
        Inbox& inbox;
    } leave{*this};
    runner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    while (batch_position_ < batch_.size()) {
        Entry& entry = batch_[batch_position_++];
        if (turn == Runnable::Turn::run)
            run_entry(entry);
        else
            drop_entry(entry);
    }
    run_places(turn);
}

void Inbox::run_places(Runnable::Turn turn) {
    while (!delivered_places_.empty()) {
        // The place may go with its function.
        Function function = std::move(delivered_places_.pop_front().function_);
        if (turn != Runnable::Turn::run) continue;
        ContextSlot none;
        const ContextScope scope(none);
        try {
            function();
        } catch (...) {
            on_exception();  // rethrows what is fatal
        }
    }
}

void Inbox::put_back() noexcept {
    batch_interrupted_ = false;
    ready_.push_front(batch_turn_);
}

void Inbox::run_entry(Entry& entry) {
    State expected = State::waiting;
    if (!entry.state.compare_exchange_strong(expected, State::running)) {
        entry.context = {};
        return;
    }
    struct Done {
        ~Done() {
            entry.function = nullptr;
            entry.context = {};
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
    entry.context = {};
    std::lock_guard lock(mutex_);
    State expected = State::waiting;
    if (entry.state.compare_exchange_strong(expected, State::cancelled))
        dropped = std::move(entry.function);
}

Inbox::Entry* Inbox::entry_of(std::uint64_t number) {
    if (number < kFirstTicket) {
        const bool delivered = number < first_incoming_;
        if (delivered && number < first_of_batch_) return nullptr;
        std::vector<Entry>& entries = delivered ? batch_ : incoming_;
        const std::uint64_t index = number - (delivered ? first_of_batch_ : first_incoming_);
        return index < entries.size() ? &entries[index] : nullptr;
    }
    Entry* found = nullptr;
    tickets_.for_each([&](Ticket& ticket) {
        if (ticket.number == number) found = &ticket.entry;
    });
    return found;
}

/// Block while entry `number` is running on another thread.
void Inbox::await_end(std::unique_lock<std::mutex>& lock, std::uint64_t number) {
    if (runner_.load() == std::this_thread::get_id()) return;
    blocked_.fetch_add(1, std::memory_order_seq_cst);
    ended_.wait(lock, [&] {
        const Entry* entry = entry_of(number);
        return entry == nullptr || entry->state.load(std::memory_order_seq_cst) != State::running;
    });
    blocked_.fetch_sub(1);
}

bool Inbox::cancel(std::uint64_t number) {
    Function dropped;  // destroyed after the lock is released
    std::unique_lock lock(mutex_);
    Entry* entry = entry_of(number);
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
    IntrusiveList<Place> dropped_places;
    {
        std::lock_guard lock(mutex_);
        closed_ = true;
        first_incoming_ += incoming_.size();
        dropped.swap(incoming_);
        dropped_places.splice_back(places_);
        posted_.store(false);
    }
    while (!dropped_places.empty())
        const Function function = std::move(dropped_places.pop_front().function_);
    // A system call's time at most: nobody begins to wake a closed loop.
    while (waking_.load(std::memory_order_acquire) > 0) std::this_thread::yield();
}

}  // namespace asyncio::loop
