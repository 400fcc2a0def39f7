// SPDX-License-Identifier: MIT
//
// What the library asks of the system, for the threads of a model: mutexes, condition variables,
// threads, time, eventfd and epoll. --wrap=NAME leads the calls here; from other threads they go on
// to where they were meant for.
//
// Calls of the kernel give no order: what one thread did before it wrote to an eventfd need not be
// seen by who returns from epoll_wait. The library must not rely on it.
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <ctime>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "memory.hpp"

#define CALLER __builtin_return_address(0)

namespace model {

namespace {

struct Mutex {
    const void* address = nullptr;
    std::uint64_t run = 0;
    Visits visits;
    int owner = -1;
    Clock released;
};

struct ConditionVariable {
    const void* address = nullptr;
    std::uint64_t run = 0;
    Visits visits;
};

constinit Table<Mutex, 1 << 10> mutexes;
constinit Table<ConditionVariable, 1 << 8> conditions;

bool is_free(const void* mutex) noexcept { return static_cast<const Mutex*>(mutex)->owner < 0; }

void lock(const void* address, const void* caller, bool asks = true) noexcept {
    Mutex& mutex = mutexes.at(address);
    if (mutex.visits.visit(*current, true, caller) && asks) scheduler.point();
    if (mutex.owner == current->number) fail("deadlock: locked twice by the same thread");
    scheduler.block(&is_free, &mutex, "a mutex");
    access(address, 4, true, true, caller);
    mutex.owner = current->number;
    current->clock.join(mutex.released);
    current->repeats = 0;
    note("lock", address, 0, caller);
}

bool try_lock(const void* address, const void* caller) noexcept {
    Mutex& mutex = mutexes.at(address);
    if (mutex.visits.visit(*current, true, caller)) scheduler.point();
    if (mutex.owner < 0) {
        lock(address, caller, false);
        return true;
    }
    note("try_lock fails", address, 0, caller);
    return false;
}

void unlock(const void* address, const void* caller) noexcept {
    Mutex& mutex = mutexes.at(address);
    note("unlock", address, 0, caller);
    if (mutex.owner != current->number) fail("a mutex unlocked by who has not locked it");
    access(address, 4, true, true, caller);
    mutex.released = current->clock;
    mutex.owner = -1;
    (void)mutex.visits.visit(*current, true, caller);
    current->tick();
    scheduler.changed();
}

// --- condition variables ------------------------------------------------------------------------

bool is_notified(const void* thread) noexcept {
    return static_cast<const Thread*>(thread)->notified;
}

/// False: the deadline has passed.
bool wait(const void* address, const void* mutex, std::int64_t deadline,
          const void* caller) noexcept {
    if (conditions.at(address).visits.visit(*current, true, caller)) scheduler.point();
    Thread& self = *current;
    self.notified = false;
    self.condition = address;
    note("wait", address, 0, caller);
    unlock(mutex, caller);
    self.restless = true;
    const bool in_time = scheduler.block(&is_notified, &self, "a condition variable", deadline);
    self.restless = false;
    self.condition = nullptr;
    lock(mutex, caller, false);
    return in_time;
}

void notify(const void* address, bool all, const void* caller) noexcept {
    if (conditions.at(address).visits.visit(*current, true, caller)) scheduler.point();
    access(address, 4, true, true, caller);
    note(all ? "notify all" : "notify one", address, 0, caller);
    Thread* waiters[kThreads];
    int count = 0;
    for (Thread& thread : scheduler.threads)
        if (thread.condition == address && !thread.notified) waiters[count++] = &thread;
    if (all) {
        for (int i = 0; i < count; ++i) waiters[i]->notified = true;
    } else if (count > 0) {
        waiters[scheduler.choose(count)]->notified = true;
    }
    scheduler.changed();
}

std::int64_t nanoseconds(const timespec& time) noexcept {
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

bool never(const void*) noexcept { return false; }
bool is_finished(const void* thread) noexcept {
    return static_cast<const Thread*>(thread)->state == Thread::State::finished;
}

Thread& thread_of(pthread_t real) noexcept {
    for (int i = 0; i < scheduler.count; ++i)
        if (pthread_equal(scheduler.threads[i].real, real)) return scheduler.threads[i];
    fail("no such thread");
}

// --- eventfd and epoll --------------------------------------------------------------------------

struct Watched {
    int fd = -1;
    epoll_event event = {};
    bool ready = false;
};

struct Descriptor {
    enum class Kind : std::uint8_t { none, event, epoll };
    static constexpr int kWatched = 4;
    Kind kind = Kind::none;
    bool open = false;
    std::uint64_t counter = 0;
    Watched watched[kWatched];
    Visits visits;
};

constexpr int kFirst = 1000;  // numbers of descriptors
constexpr int kDescriptors = 32;
Descriptor descriptors[kDescriptors];
int opened = 0;

bool is_ours(int fd) noexcept { return current != nullptr && fd >= kFirst; }

Descriptor& descriptor(int fd, Descriptor::Kind kind, const void* caller) noexcept {
    if (fd < kFirst || fd >= kFirst + opened) fail("an unknown descriptor");
    Descriptor& found = descriptors[fd - kFirst];
    if (found.visits.visit(*current, true, caller)) scheduler.point();
    if (!found.open) fail("use of a closed descriptor");
    if (found.kind != kind && kind != Descriptor::Kind::none) fail("a descriptor of another kind");
    return found;
}

int open(Descriptor::Kind kind, std::uint64_t counter = 0) noexcept {
    if (opened == kDescriptors) fail("too many descriptors");
    Descriptor& fresh = descriptors[opened];
    fresh = Descriptor();
    fresh.kind = kind;
    fresh.open = true;
    fresh.counter = counter;
    return kFirst + opened++;
}

void announce(int fd) noexcept {
    for (int i = 0; i < opened; ++i)
        for (Watched& watched : descriptors[i].watched)
            if (watched.fd == fd) watched.ready = true;
    scheduler.changed();
}

bool has_events(const void* epoll) noexcept {
    for (const Watched& watched : static_cast<const Descriptor*>(epoll)->watched)
        if (watched.fd >= 0 && watched.ready) return true;
    return false;
}

int control(int epoll, int operation, int fd, const epoll_event* event,
            const void* caller) noexcept {
    Descriptor& set = descriptor(epoll, Descriptor::Kind::epoll, caller);
    Watched* place = nullptr;
    for (Watched& watched : set.watched)
        if (watched.fd == (operation == EPOLL_CTL_ADD ? -1 : fd)) place = &watched;
    if (place == nullptr) fail("epoll_ctl: too many, or not there");
    if (operation == EPOLL_CTL_DEL)
        *place = Watched();
    else
        *place = {fd, *event, descriptors[fd - kFirst].counter > 0};
    return 0;
}

int wait_for_events(int epoll, epoll_event* events, std::int64_t timeout,
                    const void* caller) noexcept {
    Descriptor& set = descriptor(epoll, Descriptor::Kind::epoll, caller);
    note("epoll_wait", &set, static_cast<std::uint64_t>(timeout), caller);
    if (timeout != 0)
        scheduler.block(&has_events, &set, "epoll_wait",
                        timeout < 0 ? 0 : scheduler.time + timeout);
    int count = 0;
    for (Watched& watched : set.watched) {
        if (watched.fd < 0 || !watched.ready) continue;
        events[count] = watched.event;
        events[count++].events = EPOLLIN;
        const bool edge = (watched.event.events & EPOLLET) != 0;
        watched.ready = !edge && descriptors[watched.fd - kFirst].counter > 0;
    }
    note("epoll_wait returns", &set, static_cast<std::uint64_t>(count), caller);
    return count;
}

// --- signals ------------------------------------------------------------------------------------

constexpr int kSignals = 65;

/// What is to happen when it comes. Each run begins with the default, which here is nothing.
struct Disposition {
    std::uint64_t run = 0;
    Visits visits;
    struct sigaction action = {};
};
Disposition dispositions[kSignals];

Disposition& disposition(int signal, bool changes, const void* caller) noexcept {
    Disposition& found = dispositions[signal];
    if (found.run != scheduler.run) {
        found = Disposition();
        found.run = scheduler.run;
    }
    if (found.visits.visit(*current, changes, caller)) scheduler.point();
    return found;
}

/// It hits the current thread, which is at nothing that it could interrupt. Between the system's
/// decision for a handler and its first instruction anything may happen.
void deliver(int signal, const void* caller) noexcept {
    const auto handler = disposition(signal, false, caller).action.sa_handler;
    note("signal", nullptr, static_cast<std::uint64_t>(signal), caller);
    if (handler == SIG_DFL || handler == SIG_IGN) return;
    scheduler.point();
    handler(signal);
}

// --- objects that are made when they are first needed
// ---------------------------------------------

/// As the C++ ABI has it: the first byte says that it is made; the second that somebody is at it.
using Guard = unsigned char;
bool is_left(const void* guard) noexcept { return static_cast<const Guard*>(guard)[1] == 0; }

}  // namespace

void forget_mutex(const void* address) noexcept {
    Mutex* mutex = mutexes.find(address);
    if (mutex == nullptr) return;
    if (mutex->owner >= 0) fail("a mutex destroyed while it is held");
    mutex->visits.forget();
    mutex->released = Clock();
}

void begin_descriptors() noexcept { opened = 0; }
void check_descriptors() noexcept {
    for (int i = 0; i < opened; ++i)
        if (descriptors[i].open) fail("a descriptor was left open");
}

}  // namespace model

using namespace model;

// NOLINTBEGIN: the names are the linker's
extern "C" {

int __real_pthread_mutex_lock(pthread_mutex_t*);
int __real_pthread_mutex_trylock(pthread_mutex_t*);
int __real_pthread_mutex_unlock(pthread_mutex_t*);
int __real_pthread_cond_wait(pthread_cond_t*, pthread_mutex_t*);
int __real_pthread_cond_clockwait(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);
int __real_pthread_cond_signal(pthread_cond_t*);
int __real_pthread_cond_broadcast(pthread_cond_t*);
int __real_pthread_cond_destroy(pthread_cond_t*);
int __real_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
int __real_pthread_join(pthread_t, void**);
int __real_pthread_detach(pthread_t);
int __real_pthread_once(pthread_once_t*, void (*)());
int __real_sched_yield();
int __real_clock_gettime(clockid_t, timespec*);
int __real_clock_nanosleep(clockid_t, int, const timespec*, timespec*);
long __real_syscall(long, ...);
int __real_epoll_create1(int);
int __real_epoll_ctl(int, int, int, epoll_event*);
int __real_epoll_wait(int, epoll_event*, int, int);
int __real_eventfd(unsigned, int);
ssize_t __real_write(int, const void*, std::size_t);
ssize_t __real_read(int, void*, std::size_t);
int __real_close(int);
int __real_sigaction(int, const struct sigaction*, struct sigaction*);
void (*__real_signal(int, void (*)(int)))(int);
int __real_raise(int);
int __real___cxa_guard_acquire(Guard*);
void __real___cxa_guard_release(Guard*);
void __real___cxa_guard_abort(Guard*);

int __wrap_pthread_mutex_lock(pthread_mutex_t* mutex) {
    if (current == nullptr) return __real_pthread_mutex_lock(mutex);
    lock(mutex, CALLER);
    return 0;
}
int __wrap_pthread_mutex_trylock(pthread_mutex_t* mutex) {
    if (current == nullptr) return __real_pthread_mutex_trylock(mutex);
    return try_lock(mutex, CALLER) ? 0 : EBUSY;
}
int __wrap_pthread_mutex_unlock(pthread_mutex_t* mutex) {
    if (current == nullptr) return __real_pthread_mutex_unlock(mutex);
    unlock(mutex, CALLER);
    return 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    if (current == nullptr) return __real_pthread_cond_wait(condition, mutex);
    (void)wait(condition, mutex, 0, CALLER);
    return 0;
}
int __wrap_pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                  clockid_t clock, const timespec* deadline) {
    if (current == nullptr) return __real_pthread_cond_clockwait(condition, mutex, clock, deadline);
    return wait(condition, mutex, nanoseconds(*deadline), CALLER) ? 0 : ETIMEDOUT;
}
int __wrap_pthread_cond_signal(pthread_cond_t* condition) {
    if (current == nullptr) return __real_pthread_cond_signal(condition);
    notify(condition, false, CALLER);
    return 0;
}
int __wrap_pthread_cond_broadcast(pthread_cond_t* condition) {
    if (current == nullptr) return __real_pthread_cond_broadcast(condition);
    notify(condition, true, CALLER);
    return 0;
}
int __wrap_pthread_cond_destroy(pthread_cond_t* condition) {
    if (current == nullptr) return __real_pthread_cond_destroy(condition);
    for (const Thread& thread : scheduler.threads)
        if (thread.condition == condition && !thread.notified)
            fail("a condition variable destroyed while somebody waits for it");
    return 0;
}

int __wrap_pthread_create(pthread_t* id, const pthread_attr_t* attributes, void* (*entry)(void*),
                          void* argument) {
    if (current == nullptr) return __real_pthread_create(id, attributes, entry, argument);
    Thread& thread = scheduler.add(entry, argument);
    current->tick();
    scheduler.start(thread);
    scheduler.changed();
    note("thread begins", nullptr, static_cast<std::uint64_t>(thread.number), CALLER);
    *id = thread.real;
    return 0;
}
int __wrap_pthread_join(pthread_t id, void** result) {
    if (current == nullptr) return __real_pthread_join(id, result);
    Thread& thread = thread_of(id);
    scheduler.block(&is_finished, &thread, "a thread's end");
    current->clock.join(thread.clock);
    note("joined", nullptr, static_cast<std::uint64_t>(thread.number), CALLER);
    if (result != nullptr) *result = thread.result;
    return 0;
}
int __wrap_pthread_detach(pthread_t id) {
    return current == nullptr ? __real_pthread_detach(id) : 0;
}
int __wrap_sched_yield() {
    if (current == nullptr) return __real_sched_yield();
    scheduler.yield();
    return 0;
}

int __wrap_clock_gettime(clockid_t clock, timespec* time) {
    if (current == nullptr) return __real_clock_gettime(clock, time);
    time->tv_sec = static_cast<time_t>(scheduler.time / 1'000'000'000);
    time->tv_nsec = static_cast<long>(scheduler.time % 1'000'000'000);
    return 0;
}
int __wrap_clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
    if (current == nullptr) return __real_clock_nanosleep(clock, flags, time, left);
    const std::int64_t from = (flags & TIMER_ABSTIME) != 0 ? 0 : scheduler.time;
    scheduler.block(&never, nullptr, "a sleep", from + nanoseconds(*time));
    return 0;
}

int __wrap_epoll_create1(int flags) {
    return current == nullptr ? __real_epoll_create1(flags) : open(Descriptor::Kind::epoll);
}
int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
    if (!is_ours(epoll)) return __real_epoll_ctl(epoll, operation, fd, event);
    return control(epoll, operation, fd, event, CALLER);
}
int __wrap_epoll_wait(int epoll, epoll_event* events, int most, int timeout) {
    if (!is_ours(epoll)) return __real_epoll_wait(epoll, events, most, timeout);
    return wait_for_events(epoll, events, timeout * std::int64_t{1'000'000}, CALLER);
}
int __wrap_eventfd(unsigned initial, int flags) {
    return current == nullptr ? __real_eventfd(initial, flags)
                              : open(Descriptor::Kind::event, initial);
}
ssize_t __wrap_write(int fd, const void* data, std::size_t size) {
    if (!is_ours(fd)) return __real_write(fd, data, size);
    Descriptor& event = descriptor(fd, Descriptor::Kind::event, CALLER);
    event.counter += *static_cast<const std::uint64_t*>(data);
    note("write to eventfd", nullptr, static_cast<std::uint64_t>(fd), CALLER);
    announce(fd);
    return static_cast<ssize_t>(size);
}
ssize_t __wrap_read(int fd, void* data, std::size_t size) {
    if (!is_ours(fd)) return __real_read(fd, data, size);
    Descriptor& event = descriptor(fd, Descriptor::Kind::event, CALLER);
    if (event.counter == 0) {
        errno = EAGAIN;
        return -1;
    }
    *static_cast<std::uint64_t*>(data) = event.counter;
    event.counter = 0;
    return static_cast<ssize_t>(size);
}
int __wrap_close(int fd) {
    if (!is_ours(fd)) return __real_close(fd);
    descriptor(fd, Descriptor::Kind::none, CALLER).open = false;
    note("close", nullptr, static_cast<std::uint64_t>(fd), CALLER);
    return 0;
}

int __wrap_sigaction(int signal, const struct sigaction* action, struct sigaction* before) {
    if (current == nullptr) return __real_sigaction(signal, action, before);
    Disposition& found = disposition(signal, action != nullptr, CALLER);
    if (before != nullptr) *before = found.action;
    if (action != nullptr) found.action = *action;
    note("sigaction", nullptr, static_cast<std::uint64_t>(signal), CALLER);
    return 0;
}
void (*__wrap_signal(int signal, void (*handler)(int)))(int) {
    if (current == nullptr) return __real_signal(signal, handler);
    Disposition& found = disposition(signal, true, CALLER);
    auto* const before = found.action.sa_handler;
    found.action.sa_handler = handler;
    note("signal()", nullptr, static_cast<std::uint64_t>(signal), CALLER);
    return before;
}
int __wrap_raise(int signal) {
    if (current == nullptr) return __real_raise(signal);
    deliver(signal, CALLER);
    return 0;
}

int __wrap_pthread_once(pthread_once_t* once, void (*function)()) {
    if (current == nullptr) return __real_pthread_once(once, function);
    enum : int { fresh, running, over };  // values of *once; the system's own end with 2, too
    const auto may_look = [](const void* at) noexcept {
        return *static_cast<const int*>(at) != running;
    };
    before_atomic(once, true, CALLER);
    scheduler.block(may_look, once, "std::call_once in another thread");
    const auto state = static_cast<std::uint64_t>(*once);
    if (loaded(once, sizeof *once, state, Order::acquire, true, CALLER) == over) return 0;
    *once = running;
    function();
    stored(once, sizeof *once, running, over, Order::release, false, CALLER);
    *once = over;
    return 0;
}

int __wrap___cxa_guard_acquire(Guard* guard) {
    if (current == nullptr) return __real___cxa_guard_acquire(guard);
    scheduler.block(&is_left, guard, "an object that another thread makes");
    if (loaded(guard, 1, guard[0], Order::acquire, true, CALLER) != 0) return 0;
    guard[1] = 1;
    return 1;
}
void __wrap___cxa_guard_release(Guard* guard) {
    if (current == nullptr) return __real___cxa_guard_release(guard);
    stored(guard, 1, guard[0], 1, Order::release, false, CALLER);
    guard[0] = 1;
    guard[1] = 0;
}
void __wrap___cxa_guard_abort(Guard* guard) {
    if (current == nullptr) return __real___cxa_guard_abort(guard);
    guard[1] = 0;
    scheduler.changed();
}

long __wrap_syscall(long number, ...) {
    va_list list;
    va_start(list, number);
    long argument[6];
    for (long& value : argument) value = va_arg(list, long);
    va_end(list);
    if (current != nullptr && number == SYS_gettid)  // the model's first thread is its main()
        return ::getpid() + current->number;
    if (number == SYS_epoll_pwait2 && is_ours(static_cast<int>(argument[0]))) {
        const auto* timeout = reinterpret_cast<const timespec*>(argument[3]);
        return wait_for_events(static_cast<int>(argument[0]),
                               reinterpret_cast<epoll_event*>(argument[1]),
                               timeout == nullptr ? -1 : nanoseconds(*timeout), CALLER);
    }
    return __real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                          argument[5]);
}

}  // extern "C"
// NOLINTEND
