// SPDX-License-Identifier: MIT
//
// The checker itself: programs with a known fault, which it has to find, and the same without.
#include <asyncio/base/ref.hpp>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "model.hpp"

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// --- a lost wake-up: the flag is looked at, and then the thread sleeps ---------------------------

struct Bed {
    std::mutex mutex;
    std::condition_variable wake;
    std::atomic<bool> posted{false};
};

FAULTY_MODEL(fault_lost_wake_up, "deadlock") {
    Bed bed;
    std::thread poster([&] {
        bed.posted.store(true);
        bed.wake.notify_one();
    });
    if (!bed.posted.load()) {
        std::unique_lock lock(bed.mutex);
        bed.wake.wait(lock);
    }
    poster.join();
}

FAULTY_MODEL(fault_a_wait_that_does_not_look, "posted") {
    Bed bed;
    std::unique_lock lock(bed.mutex);
    std::thread poster([&] {
        const std::lock_guard held(bed.mutex);
        bed.posted.store(true);
        bed.wake.notify_one();
    });
    bed.wake.wait(lock);
    MODEL_CHECK(bed.posted.load());
    lock.unlock();
    poster.join();
}

SOUND_MODEL(no_fault_wake_up) {
    Bed bed;
    std::thread poster([&] {
        bed.posted.store(true);
        const std::lock_guard lock(bed.mutex);
        bed.wake.notify_one();
    });
    {
        std::unique_lock lock(bed.mutex);
        bed.wake.wait(lock, [&] { return bed.posted.load(); });
    }
    poster.join();
}

// --- publication ---------------------------------------------------------------------------------

void publish(std::memory_order how) {
    int data = 0;
    std::atomic<bool> ready{false};
    std::thread writer([&] {
        data = 42;
        ready.store(true, how);
    });
    if (ready.load(std::memory_order_acquire)) MODEL_CHECK(data == 42);
    writer.join();
}

FAULTY_MODEL(fault_missing_release, "two accesses") { publish(relaxed); }
SOUND_MODEL(no_fault_release) { publish(std::memory_order_release); }

// --- Dekker: each stores its own flag and looks at the other's -----------------------------------

void dekker(std::memory_order store, std::memory_order load) {
    std::atomic<bool> mine{false};
    std::atomic<bool> theirs{false};
    bool seen = false;
    std::thread other([&] {
        theirs.store(true, store);
        seen = mine.load(load);
    });
    mine.store(true, store);
    const bool saw = theirs.load(load);
    other.join();
    MODEL_CHECK(saw || seen);
}

FAULTY_MODEL(fault_store_and_look_without_total_order, "saw || seen") {
    dekker(std::memory_order_release, std::memory_order_acquire);
}
SOUND_MODEL(no_fault_store_and_look) {
    dekker(std::memory_order_seq_cst, std::memory_order_seq_cst);
}

// --- read, then written: needs two interruptions -------------------------------------------------

FAULTY_MODEL(fault_lost_update, "count == 2") {
    std::atomic<int> count{0};
    std::thread other([&] { count.store(count.load() + 1); });
    count.store(count.load() + 1);
    other.join();
    MODEL_CHECK(count == 2);
}

SOUND_MODEL(no_fault_update) {
    std::atomic<int> count{0};
    std::thread other([&] { count.fetch_add(1, relaxed); });
    count.fetch_add(1, relaxed);
    other.join();
    MODEL_CHECK(count == 2);
}

// --- freed twice, freed in use, left
// --------------------------------------------------------------

FAULTY_MODEL(fault_freed_twice, "freed twice") {
    auto* const object = new int(1);
    std::atomic<bool> closed{false};
    const auto close = [&] {
        if (closed.load()) return;
        closed.store(true);
        delete object;
    };
    std::thread other(close);
    close();
    other.join();
}

FAULTY_MODEL(fault_use_after_free, "two accesses") {
    auto* const object = new std::atomic<int>(1);
    std::thread other([&] { object->fetch_add(1); });
    object->fetch_add(1);
    delete object;
    other.join();
}

/// A count without acquire and release: the last owner frees what the other may still be reading.
template <std::memory_order how>
void drop_two() {
    struct Object {
        std::atomic<int> count{2};
        int data = 1;
    };
    auto* const object = new Object;
    const auto use = [&] {
        MODEL_CHECK(object->data == 1);
        if (object->count.fetch_sub(1, how) == 1) delete object;
    };
    std::thread other(use);
    use();
    other.join();
}

FAULTY_MODEL(fault_count_without_order, "two accesses") { drop_two<relaxed>(); }
SOUND_MODEL(no_fault_count) { drop_two<std::memory_order_acq_rel>(); }

FAULTY_MODEL(fault_lost_memory, "memory was left") {
    std::atomic<int*> box{nullptr};
    std::thread other([&] { box.store(new int(1)); });
    int* const before = box.load();
    other.join();
    if (before == nullptr) delete box.load();
}

// --- locks
// ----------------------------------------------------------------------------------------

FAULTY_MODEL(fault_locked_in_a_circle, "deadlock") {
    std::mutex one;
    std::mutex two;
    std::thread other([&] {
        const std::lock_guard first(two);
        const std::lock_guard second(one);
    });
    {
        const std::lock_guard first(one);
        const std::lock_guard second(two);
    }
    other.join();
}

/// Who waits may be the last to need what is notified.
template <bool under_the_lock>
void notify_and_free() {
    struct Object {
        std::mutex mutex;
        std::condition_variable changed;
        bool done = false;
    };
    auto* const object = new Object;
    std::thread other([&] {
        std::unique_lock lock(object->mutex);
        object->done = true;
        if (!under_the_lock) lock.unlock();
        object->changed.notify_one();
    });
    {
        std::unique_lock lock(object->mutex);
        object->changed.wait(lock, [&] { return object->done; });
    }
    delete object;
    other.join();
}

FAULTY_MODEL(fault_notified_after_its_end, "two accesses") { notify_and_free<false>(); }
SOUND_MODEL(no_fault_notified_under_the_lock) { notify_and_free<true>(); }

FAULTY_MODEL(fault_a_thread_that_spins_for_ever, "livelock", .turns = 1000) {
    std::atomic<bool> stop{false};
    std::thread other([&] {
        while (!stop.load()) std::this_thread::yield();
    });
    other.join();
}

}  // namespace
