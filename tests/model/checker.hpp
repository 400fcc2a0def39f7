// SPDX-License-Identifier: MIT
//
// The checker: runs a model once for each order of its threads' turns, and looks at every step.
//
// How it gets between the threads. The library is compiled a second time with -fsanitize=thread,
// but linked with this runtime instead of ThreadSanitizer's: so every load and store and every
// atomic operation of the real, unchanged code is a call of memory.cpp. Mutexes, condition
// variables, threads, the clock, eventfd, epoll and memory are caught by the linker (--wrap) and
// come to system.cpp. The threads are real ones, but only one runs at a time: it holds the baton,
// and before each operation that others could notice it asks the scheduler who goes on (point()).
//
//     run 1: every question is answered with its first alternative
//     run n: as the run before up to the last question that has another alternative, and that
//
// until there is none (explore.cpp). That is every run there is within the bounds of Limits:
//
//  - Preemptions. Whenever a thread cannot go on, all others are tried. One that could go on is
//    interrupted at most so often, at any of its points. A timeout that passes although others
//    could go on, or a wait for a condition variable that returns for no reason, counts as one.
//    (Musuvathi, Qadeer: almost all faults need no more than two.)
//  - Stale reads. A load may return any value that its memory order allows, as in the C++ memory
//    model: each location keeps its stores, and a store is hidden only from those who know a later
//    one, by happens-before. Sequentially consistent loads see the last such store at least.
//
// Where it asks. Not at all operations: only at locations and mutexes where two threads have met
// without an order between them. Which these are is learned on the way; when a new one is found,
// the exploration begins anew. Elsewhere a change of turns makes no difference.
//
// What is an error: MODEL_CHECK, an exception that leaves a thread, std::terminate; all threads
// blocked (deadlock, a lost wake-up); more turns than allowed (livelock); a race: two accesses to a
// byte, one a write and one no atomic operation, without an order between them; use of freed
// memory; memory that is left at a run's end; a mutex unlocked by another thread or freed while
// held; a condition variable destroyed under its waiters; an unknown or closed descriptor.
//
// What it does not see: modification orders that differ from the order in which stores were made
// here, and values out of thin air; spurious failures of compare_exchange_weak; fences (there are
// none: using one is an error); a signal that interrupts the same thread at an arbitrary place (a
// model raises it where it wants); io_uring, which shares with epoll all but its ring; what is
// compiled elsewhere (the C++ runtime, the system).
//
// The code here is not instrumented and allocates nothing in a model's threads: no std:: that the
// library has, too.
#pragma once

#include <cstddef>
#include <cstdint>

#include <pthread.h>

#include "model.hpp"

namespace model {

inline constexpr int kThreads = 6;
using Tick = std::uint32_t;

/// What a thread knows of the others: all that they did up to these ticks.
struct Clock {
    Tick of[kThreads] = {};
    void join(const Clock& other) noexcept {
        for (int i = 0; i < kThreads; ++i)
            if (of[i] < other.of[i]) of[i] = other.of[i];
    }
};

/// Of a thread that is blocked: may it go on?
using Condition = bool (*)(const void* what) noexcept;

struct Thread {
    enum class State : std::uint8_t { unused, runnable, blocked, finished };

    int number = 0;
    State state = State::unused;
    bool yielded = false;    // goes on when another thread has changed something
    bool timed_out = false;  // how block() ended
    bool notified = false;   // in the condition variable
    bool restless = false;   // may go on for no reason
    const void* condition = nullptr;
    int baton = 0;  // a futex: 1 when it is this thread's turn
    Clock clock;
    Condition may_go_on = nullptr;
    const void* waits_at = nullptr;
    const char* waits_for = "";
    std::int64_t deadline = 0;  // ns; 0: none
    const void* last_load = nullptr;
    std::uint64_t last_value = 0;
    int repeats = 0;  // of that load
    void* (*entry)(void*) = nullptr;
    void* argument = nullptr;
    void* result = nullptr;
    pthread_t real = {};

    Tick now() const noexcept { return clock.of[number]; }
    /// What was done so far can be told from what follows.
    void tick() noexcept { ++clock.of[number]; }
    bool knows(int thread, Tick tick) const noexcept { return clock.of[thread] >= tick; }
};

/// The thread of a model that is running; null in all others, and while the checker is at work.
extern thread_local Thread* current;

/// Who waits, who yields: see checker.hpp's head.
class Scheduler {
  public:
    Thread threads[kThreads] = {};
    int count = 0;
    std::int64_t time = 0;  // ns
    std::uint64_t run = 0;  // its number; what is of another run is void
    const Limits* limits = nullptr;

    /// Others may take a turn before what the current thread does next.
    void point() noexcept;
    /// Until it may go on; false if the deadline came first.
    bool block(Condition may_go_on, const void* at, const char* what,
               std::int64_t deadline = 0) noexcept;
    /// It can only go on when somebody else has changed something.
    void yield() noexcept;
    /// Something has changed that others may be waiting for.
    void changed() noexcept;
    /// One of `options` (at least one), all of them one after the other.
    int choose(int options) noexcept;
    /// As choose(), where 0 is usual: each other choice uses up one of the stale reads.
    int choose_stale(int options) noexcept;

    Thread& add(void* (*entry)(void*), void* argument) noexcept;
    void start(Thread& thread) noexcept;
    /// The current thread's end.
    void finish() noexcept;

    /// A whole run. REQUIRES: no thread of a model.
    void run_once(void (*body)(), std::uint64_t number) noexcept;
    /// False if there is no other run.
    bool next_run() noexcept;
    void forget_runs() noexcept { choices_ = 0; }
    /// There was a thread beside the first.
    bool shared() const noexcept { return count > 1; }
    void print() noexcept;

  private:
    struct Choice {
        std::uint16_t options;
        std::uint16_t taken;
    };
    struct Candidate {
        Thread* thread;
        bool costs;
        bool timeout;
    };
    static constexpr int kChoices = 1 << 15;

    bool enabled(const Thread& thread) const noexcept;
    int candidates(Candidate* list, const Thread& self) const noexcept;
    int sleepers(Candidate* list) const noexcept;
    void pick(Thread& self) noexcept;
    void hand_over(Thread& self, Candidate to) noexcept;

    Choice choice_[kChoices] = {};
    int choices_ = 0;
    int position_ = 0;
    std::uint32_t turns_ = 0;
    int preemptions_ = 0;
    int stale_reads_ = 0;
    int over_ = 0;  // a futex: the run has ended
};

extern Scheduler scheduler;

/// Where threads have met, by names that are the same in every run: which thread came there first,
/// and where in the code it was then.
class Meetings {
  public:
    bool has(std::uint64_t name) const noexcept;
    /// False if it is known.
    bool add(std::uint64_t name) noexcept;
    /// The exploration must begin anew.
    bool grew = false;

  private:
    static constexpr int kMost = 1 << 13;
    std::uint64_t names_[kMost] = {};
    int count_ = 0;
};

extern Meetings meetings;

/// Who came to a place, and whether they came in an order that something else gives.
class Visits {
  public:
    /// `caller` is in the code. True: others may take a turn before this one.
    bool visit(Thread& thread, bool changes, const void* caller) noexcept;
    void forget() noexcept { *this = Visits(); }

  private:
    std::uint64_t name_ = 0;
    Tick readers_[kThreads] = {};
    Tick writer_tick_ = 0;
    int writer_ = -1;
    bool meeting_ = false;
};

/// An object of the program by its address, in this run: T has `address` and `run`.
template <class T, int N>
class Table {
  public:
    T& at(const void* address) noexcept {
        T* place = look(address);
        if (place->run != scheduler.run) {
            *place = T();
            place->address = address;
            place->run = scheduler.run;
        }
        return *place;
    }
    T* find(const void* address) noexcept {
        T* place = look(address);
        return place->run == scheduler.run ? place : nullptr;
    }

  private:
    T* look(const void* address) noexcept {
        auto hash = reinterpret_cast<std::uintptr_t>(address) * 0x9E3779B97F4A7C15u;
        for (int tries = 0; tries < N; ++tries, hash += std::uintptr_t{1} << 40) {
            T& place = places_[(hash >> 40) % N];
            if (place.run != scheduler.run || place.address == address) return &place;
        }
        fail("the checker's table is too small");
    }
    T places_[N] = {};
};

/// A step, for the report of a failure.
void note(const char* what, const void* at, std::uint64_t value, const void* caller,
          int thread = -1) noexcept;

/// Something touches memory (memory.cpp).
void access(const void* address, std::size_t size, bool writes, bool atomic,
            const void* caller) noexcept;
/// It will never be touched again.
void freed(void* address, std::size_t size, const void* caller) noexcept;
/// Before a run and after it (system.cpp). `count_leaks`: not in the first, which makes what stays.
void begin_system() noexcept;
void end_system(bool count_leaks) noexcept;

}  // namespace model
