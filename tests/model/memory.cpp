// SPDX-License-Identifier: MIT
//
// Memory as the threads of a model see it: for plain accesses, who touched each byte last (races);
// for atomic ones, the stores of each location, of which a load may choose.
#include "memory.hpp"

#include <cstdio>

namespace model {

namespace {

/// An access that later ones are compared with.
struct Cell {
    Tick tick = 0;
    std::uint8_t thread = 0;
    std::uint8_t bytes = 0;  // of the eight: bits
    bool writes = false;
    bool atomic = false;
    const void* caller = nullptr;
};

/// Eight bytes of memory.
struct Granule {
    static constexpr int kCells = 8;
    const void* address = nullptr;
    std::uint64_t run = 0;
    Cell cells[kCells];
    int used = 0;
    int victim = 0;
    bool freed = false;
};

struct Store {
    std::uint64_t value = 0;
    Clock released;            // what who acquires it knows
    Tick seen[kThreads] = {};  // who knows it, and since when; 0: does not
    bool known_to(const Thread& thread) const noexcept {
        for (int i = 0; i < kThreads; ++i)
            if (seen[i] != 0 && thread.knows(i, seen[i])) return true;
        return false;
    }
};

/// An atomic object: its last stores, in their order.
struct Location {
    static constexpr int kStores = 6;
    const void* address = nullptr;
    std::uint64_t run = 0;
    Visits visits;
    Store stores[kStores];
    int count = 0;
    int oldest_for_sc = 0;  // the last sequentially consistent store

    Store& newest() noexcept { return stores[count - 1]; }
    Store& add() noexcept {
        if (count == kStores) {
            for (int i = 1; i < kStores; ++i) stores[i - 1] = stores[i];
            --count;
            if (oldest_for_sc > 0) --oldest_for_sc;
        }
        stores[count] = Store();
        return stores[count++];
    }
};

constinit Table<Granule, 1 << 16> granules;
constinit Table<Location, 1 << 12> locations;

bool acquires(Order order) noexcept {
    return order == Order::acquire || order == Order::consume || order == Order::acq_rel ||
           order == Order::seq_cst;
}
bool releases(Order order) noexcept {
    return order == Order::release || order == Order::acq_rel || order == Order::seq_cst;
}

// --- races --------------------------------------------------------------------------------------

[[noreturn]] void race(const Cell& before, const Cell& now, const void* address) noexcept {
    std::printf("    two threads at %p:\n", address);
    note(before.writes ? "write before" : "read before", address, before.bytes, before.caller,
         before.thread);
    note(now.writes ? "write now" : "read now", address, now.bytes, now.caller);
    fail("race: two accesses without an order between them");
}

void check_cell(Granule& granule, const Cell& now) noexcept {
    Cell* place = nullptr;
    for (int i = 0; i < granule.used; ++i) {
        Cell& before = granule.cells[i];
        const bool same = before.thread == now.thread;
        const bool ordered = same || current->knows(before.thread, before.tick);
        const bool overlap = (before.bytes & now.bytes) != 0;
        const bool conflict = (before.writes || now.writes) && !(before.atomic && now.atomic);
        if (!ordered && overlap && conflict) race(before, now, granule.address);
        // What whoever conflicts with this one would conflict with, too.
        const bool replaced = ordered && (before.bytes & ~now.bytes) == 0 &&
                              (now.writes || !before.writes) && (before.atomic || !now.atomic);
        if (replaced && place == nullptr) place = &before;
    }
    if (place == nullptr) {
        if (granule.used < Granule::kCells)
            place = &granule.cells[granule.used++];
        else
            place = &granule.cells[granule.victim++ % Granule::kCells];
    }
    *place = now;
}

/// An object of another kind begins its life there.
void forget_objects(const Granule& granule, std::uint8_t bytes) noexcept {
    for (int i = 0; i < 8; ++i) {
        if ((bytes >> i & 1) == 0) continue;
        const auto* at = static_cast<const char*>(granule.address) + i;
        if (Location* location = locations.find(at)) {
            location->count = 0;
            location->visits.forget();
        }
        forget_mutex(at);
    }
}

void check_granule(std::uintptr_t address, std::uint8_t bytes, Cell now) noexcept {
    Granule& granule = granules.at(reinterpret_cast<const void*>(address));
    now.bytes = bytes;
    if (granule.freed) {
        note("use", granule.address, now.thread, now.caller);
        fail("use of freed memory");
    }
    if (now.writes && !now.atomic)
        for (int i = 0; i < granule.used; ++i)
            if (granule.cells[i].atomic && (granule.cells[i].bytes & bytes) != 0) {
                check_cell(granule, now);
                forget_objects(granule, bytes);
                return;
            }
    check_cell(granule, now);
}

}  // namespace

void access(const void* address, std::size_t size, bool writes, bool atomic,
            const void* caller) noexcept {
    if (current == nullptr || !scheduler.shared()) return;
    const Cell cell = {
        current->now(), static_cast<std::uint8_t>(current->number), 0, writes, atomic, caller};
    auto begin = reinterpret_cast<std::uintptr_t>(address);
    const std::uintptr_t end = begin + size;
    while (begin < end) {
        const std::uintptr_t granule = begin & ~std::uintptr_t{7};
        const std::uintptr_t first = begin - granule;
        const std::uintptr_t last = (end < granule + 8 ? end : granule + 8) - granule;
        const unsigned bytes = (0xFFu >> (8 - (last - first))) << first;
        check_granule(granule, static_cast<std::uint8_t>(bytes), cell);
        begin = granule + 8;
    }
}

void freed(void* address, std::size_t size, const void* caller) noexcept {
    if (current == nullptr || !scheduler.shared()) return;
    constexpr std::size_t kMost = 4096;  // of a large block, the beginning is enough
    if (size > kMost) size = kMost;
    access(address, size, true, false, caller);
    auto* const begin = static_cast<char*>(address);
    for (std::size_t i = 0; i + 8 <= size; i += 8) granules.at(begin + i).freed = true;
}

// --- atomic objects -----------------------------------------------------------------------------

namespace {

Location& enter(const void* address, std::size_t size, std::uint64_t value, bool changes,
                const void* caller) noexcept {
    access(address, size, changes, true, caller);
    Location& location = locations.at(address);
    if (location.count == 0 || location.newest().value != value) {
        location.count = 0;
        location.oldest_for_sc = 0;
        Store& first = location.add();
        first.value = value;
        first.seen[current->number] = current->now();
    }
    return location;
}

}  // namespace

void before_atomic(const void* address, bool changes, const void* caller) noexcept {
    if (locations.at(address).visits.visit(*current, changes, caller)) scheduler.point();
}

void check_spinning(const void* address) noexcept {
    constexpr int kPatience = 3;
    if (current->last_load == address && current->repeats >= kPatience) scheduler.yield();
}

std::uint64_t loaded(const void* address, std::size_t size, std::uint64_t value, Order order,
                     bool newest, const void* caller) noexcept {
    Thread& self = *current;
    Location& location = enter(address, size, value, false, caller);
    int oldest = location.count - 1;
    while (!newest && oldest > 0 && !location.stores[oldest].known_to(self) &&
           !(order == Order::seq_cst && oldest == location.oldest_for_sc))
        --oldest;
    const int age = scheduler.choose_stale(location.count - oldest);
    Store& read = location.stores[location.count - 1 - age];
    if (read.seen[self.number] == 0) read.seen[self.number] = self.now();
    if (acquires(order)) self.clock.join(read.released);
    note(age == 0 ? "load" : "stale load", address, read.value, caller);
    const bool again = self.last_load == address && self.last_value == read.value;
    self.repeats = again ? self.repeats + 1 : 0;
    self.last_load = address;
    self.last_value = read.value;
    return read.value;
}

void stored(const void* address, std::size_t size, std::uint64_t before, std::uint64_t value,
            Order order, bool reads, const void* caller) noexcept {
    Thread& self = *current;
    Location& location = enter(address, size, before, true, caller);
    self.repeats = 0;
    Clock released;
    if (reads) {  // the release sequence goes on
        released = location.newest().released;
        if (acquires(order)) self.clock.join(released);
    }
    if (releases(order)) released.join(self.clock);
    Store& store = location.add();
    store.value = value;
    store.released = released;
    store.seen[self.number] = self.now();
    if (order == Order::seq_cst) location.oldest_for_sc = location.count - 1;
    if (releases(order)) self.tick();
    note(reads ? "exchange" : "store", address, value, caller);
    scheduler.changed();
}

}  // namespace model
