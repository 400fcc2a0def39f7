// SPDX-License-Identifier: MIT
#include <climits>

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checker.hpp"

extern "C" {
int __real_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
int __real_pthread_join(pthread_t, void**);
long __real_syscall(long, ...);
}

namespace model {

constinit thread_local Thread* current = nullptr;
constinit Scheduler scheduler;
constinit Meetings meetings;

namespace {

constexpr std::size_t kStack = 1u << 20;
pthread_key_t at_exit;
char* stacks = nullptr;

void wait_at(int* word) noexcept {
    while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0)
        __real_syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    __atomic_store_n(word, 0, __ATOMIC_RELAXED);
}

void wake_at(int* word) noexcept {
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
    __real_syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void* run_thread(void* argument) {
    auto* self = static_cast<Thread*>(argument);
    wait_at(&self->baton);
    // Its destructor runs after those of all thread_local objects, which belong to the run.
    pthread_setspecific(at_exit, self);
    current = self;
    self->result = self->entry(self->argument);
    return self->result;
}

void* run_body(void* body) {
    reinterpret_cast<void (*)()>(body)();
    return nullptr;
}

void prepare() noexcept {
    if (stacks != nullptr) return;
    pthread_key_create(&at_exit, [](void*) { scheduler.finish(); });
    stacks = static_cast<char*>(::mmap(nullptr, kThreads * kStack, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

}  // namespace

// --- who goes on --------------------------------------------------------------------------------

bool Scheduler::enabled(const Thread& thread) const noexcept {
    if (thread.state == Thread::State::blocked) return thread.may_go_on(thread.waits_at);
    return thread.state == Thread::State::runnable && !thread.yielded;
}

/// All that may have the next turn; first whoever has it now, then in a circle.
int Scheduler::candidates(Candidate* list, const Thread& self) const noexcept {
    int found = 0;
    const bool stays = enabled(self);
    if (stays) list[found++] = {&const_cast<Thread&>(self), false, false};
    const bool may_preempt = preemptions_ < limits->preemptions;
    for (int i = 1; i < count && (!stays || may_preempt); ++i) {
        const Thread& other = threads[(self.number + i) % count];
        if (enabled(other)) list[found++] = {&const_cast<Thread&>(other), stays, false};
    }
    // A deadline may pass at any time, and a condition variable is left for no reason.
    for (int i = 0; i < count && found > 0 && may_preempt; ++i) {
        auto* const other = const_cast<Thread*>(&threads[i]);
        if (other->state != Thread::State::blocked || enabled(*other)) continue;
        if (other->deadline != 0) list[found++] = {other, true, true};
        if (other->restless) list[found++] = {other, true, false};
    }
    return found;
}

/// Nobody can go on: those whose deadline is the next to pass.
int Scheduler::sleepers(Candidate* list) const noexcept {
    std::int64_t earliest = INT64_MAX;
    int found = 0;
    for (const Thread& thread : threads) {
        if (thread.state != Thread::State::blocked || thread.deadline == 0) continue;
        if (thread.deadline < earliest) found = 0;
        if (thread.deadline > earliest) continue;
        earliest = thread.deadline;
        list[found++] = {&const_cast<Thread&>(thread), false, true};
    }
    return found;
}

void Scheduler::pick(Thread& self) noexcept {
    if (++turns_ > limits->turns) fail("livelock: too many turns");
    Candidate list[3 * kThreads];
    int found = candidates(list, self);
    if (found == 0) found = sleepers(list);
    if (found == 0) {  // those that wait for a change have to look once more
        bool any = false;
        for (Thread& thread : threads) {
            any = any || (thread.state == Thread::State::runnable && thread.yielded);
            thread.yielded = false;
        }
        if (any) found = candidates(list, self);
    }
    if (found == 0) {
        for (const Thread& thread : threads)
            if (thread.state == Thread::State::blocked) fail("deadlock: no thread can go on");
        wake_at(&over_);
        return;
    }
    const Candidate chosen = list[choose(found)];
    if (chosen.costs) ++preemptions_;
    hand_over(self, chosen);
}

void Scheduler::hand_over(Thread& self, Candidate to) noexcept {
    Thread& next = *to.thread;
    next.timed_out = to.timeout;
    if (to.timeout && time < next.deadline) time = next.deadline;
    next.state = Thread::State::runnable;
    if (&next == &self) return;
    const bool returns = self.state != Thread::State::finished;
    wake_at(&next.baton);
    if (returns) wait_at(&self.baton);
}

void Scheduler::point() noexcept {
    Thread& self = *current;
    current = nullptr;
    pick(self);
    current = &self;
}

bool Scheduler::block(Condition may_go_on, const void* at, const char* what,
                      std::int64_t deadline) noexcept {
    Thread& self = *current;
    if (may_go_on(at)) return true;
    current = nullptr;
    self.state = Thread::State::blocked;
    self.may_go_on = may_go_on;
    self.waits_at = at;
    self.waits_for = what;
    self.deadline = deadline;
    pick(self);
    self.deadline = 0;
    current = &self;
    return !self.timed_out;
}

void Scheduler::yield() noexcept {
    current->yielded = true;
    point();
}

void Scheduler::changed() noexcept {
    for (Thread& thread : threads)
        if (&thread != current) thread.yielded = false;
}

// --- choices ------------------------------------------------------------------------------------

int Scheduler::choose(int options) noexcept {
    if (options == 1) return 0;
    if (position_ == choices_) {
        if (choices_ == kChoices) fail("too many choices in one run");
        choice_[choices_++] = {static_cast<std::uint16_t>(options), 0};
    }
    const Choice& choice = choice_[position_++];
    if (choice.options != options) fail("the model does not do the same each time");
    return choice.taken;
}

int Scheduler::choose_stale(int options) noexcept {
    if (stale_reads_ >= limits->stale_reads) return 0;
    const int chosen = choose(options);
    if (chosen != 0) ++stale_reads_;
    return chosen;
}

bool Scheduler::next_run() noexcept {
    while (choices_ > 0 && choice_[choices_ - 1].taken + 1 == choice_[choices_ - 1].options)
        --choices_;
    if (choices_ == 0) return false;
    ++choice_[choices_ - 1].taken;
    return true;
}

// --- threads ------------------------------------------------------------------------------------

Thread& Scheduler::add(void* (*entry)(void*), void* argument) noexcept {
    if (count == kThreads) fail("too many threads");
    Thread& thread = threads[count];
    thread = Thread();
    thread.number = count++;
    thread.state = Thread::State::runnable;
    thread.entry = entry;
    thread.argument = argument;
    if (current != nullptr) thread.clock = current->clock;
    thread.clock.of[thread.number] = 1;
    return thread;
}

void Scheduler::start(Thread& thread) noexcept {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    // A stack of its own: another's, used again, would look like a race.
    pthread_attr_setstack(&attributes, stacks + static_cast<std::size_t>(thread.number) * kStack,
                          kStack);
    if (__real_pthread_create(&thread.real, &attributes, &run_thread, &thread) != 0)
        fail("no thread to be had");
    pthread_attr_destroy(&attributes);
}

void Scheduler::finish() noexcept {
    Thread& self = *current;
    self.tick();
    changed();
    current = nullptr;
    self.state = Thread::State::finished;
    pick(self);
}

void Scheduler::run_once(void (*body)(), std::uint64_t number) noexcept {
    prepare();
    for (Thread& thread : threads) thread = Thread();
    count = 0;
    time = std::int64_t{1'000'000'000};
    run = number;
    position_ = 0;
    turns_ = 0;
    preemptions_ = 0;
    stale_reads_ = 0;
    start(add(&run_body, reinterpret_cast<void*>(body)));
    wake_at(&threads[0].baton);
    wait_at(&over_);
    for (int i = 0; i < count; ++i) __real_pthread_join(threads[i].real, nullptr);
    if (position_ != choices_) fail("the model does not do the same each time");
}

// --- meetings -----------------------------------------------------------------------------------

bool Meetings::has(std::uint64_t name) const noexcept {
    for (int i = 0; i < count_; ++i)
        if (names_[i] == name) return true;
    return false;
}

bool Meetings::add(std::uint64_t name) noexcept {
    if (has(name)) return false;
    if (count_ == kMost) fail("too many places where threads meet");
    names_[count_++] = name;
    grew = true;
    return true;
}

bool Visits::visit(Thread& thread, bool changes, const void* caller) noexcept {
    if (!scheduler.shared()) return false;
    if (name_ == 0) {
        name_ = static_cast<std::uint64_t>(thread.number + 1) << 56 |
                reinterpret_cast<std::uintptr_t>(caller);
        meeting_ = meetings.has(name_);
    }
    if (!meeting_) {
        bool unordered = writer_ >= 0 && !thread.knows(writer_, writer_tick_);
        for (int i = 0; i < kThreads && changes; ++i)
            unordered = unordered || !thread.knows(i, readers_[i]);
        if (unordered) {
            meeting_ = true;
            meetings.add(name_);
        }
    }
    if (changes) {
        writer_ = thread.number;
        writer_tick_ = thread.now();
    } else {
        readers_[thread.number] = thread.now();
    }
    return meeting_;
}

}  // namespace model
