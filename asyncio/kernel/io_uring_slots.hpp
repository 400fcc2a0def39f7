// SPDX-License-Identifier: MIT
//
// IoUringSlots: which operation a completion belongs to. A record carries a tag: kind, slot number
// and the slot's generation. The generation changes whenever the slot is given up, so a late
// completion finds nobody instead of the next tenant (catalogue A6), and the kind is enough to
// dispose of what it brings.
//
//     tag:  63 .......... 32 31 .. 28 27 ....... 0
//           generation       kind     slot number
//
// A slot's `place` tells where its operation is:
//
//     acquire --> queued <----------------. (multishot begun anew)
//                  |  ^ queue full        |
//                  |  v                   |
//                  | backlog              |
//                  v                      |
//                 system -----------------'
//                  |  (queued and system are one: both are reached by a cancel record)
//                  v
//     release <-- [finished: has its result, waits for the next wait()]
//
// Threads: the kernel's.
#pragma once

#include <asyncio/kernel/operation.hpp>

#include <cassert>
#include <cstdint>
#include <vector>

namespace asyncio::kernel {

class IoUringSlots {
  public:
    enum class Kind : std::uint8_t {
        ignore,
        wake,
        cancel,
        accept,
        receive,
        connect,
        send,
        poll,
        file,
        open,  // a file call whose result is a descriptor
        receive_from,
        small_open,  // the records of a small file, in their order
        small_first,
        small_last,
        small_install
    };
    enum class Place : std::uint8_t { free, system, backlog, finished };

    struct Slot {
        union {
            Operation* operation = nullptr;
            std::uint32_t next_free;  // when free
        };
        std::uint32_t generation = 0;
        Place place = Place::free;
        bool by_readiness = false;  // waits by poll, then calls; see IoUringKernel
        std::uint8_t given_up = 0;  // so many times in a row the system did, unasked
    };
    static_assert(sizeof(Slot) == 16, "the table is walked at every completion");

    static constexpr std::uint64_t tag(Kind kind, std::uint32_t slot,
                                       std::uint32_t generation) noexcept {
        return static_cast<std::uint64_t>(generation) << 32 |
               static_cast<std::uint32_t>(kind) << kind_shift | slot;
    }
    static constexpr Kind kind_of(std::uint64_t tag) noexcept {
        return static_cast<Kind>(tag >> kind_shift & 0xf);
    }
    /// tag(Kind::ignore, 0, 0), of nobody: records whose completion means nothing, and completions
    /// that were struck out.
    static constexpr std::uint64_t ignored_tag = 0;

    /// The same slot and generation under another kind.
    static constexpr std::uint64_t with_kind(std::uint64_t tag, Kind kind) noexcept {
        return (tag & ~(std::uint64_t{0xf} << kind_shift)) | static_cast<std::uint64_t>(kind)
                                                                 << kind_shift;
    }
    static constexpr bool same_slot(std::uint64_t a, std::uint64_t b) noexcept {
        return with_kind(a, Kind::ignore) == with_kind(b, Kind::ignore);
    }

    /// True when the next acquire() has to allocate.
    bool full() const noexcept { return first_free_ == none; }
    std::size_t size() const noexcept { return slots_.size(); }

    /// A slot for `operation`, to be told where it goes. Throws std::bad_alloc.
    std::uint32_t acquire(Operation& operation) {
        if (first_free_ == none) [[unlikely]]
            grow();
        const std::uint32_t index = first_free_;
        Slot& slot = slots_[index];
        first_free_ = slot.next_free;
        slot.operation = &operation;
        slot.place = Place::system;
        slot.by_readiness = false;
        slot.given_up = 0;
        return index;
    }

    void release(std::uint32_t index) noexcept {
        Slot& slot = slots_[index];
        assert(slot.place != Place::free);
        slot.place = Place::free;
        slot.generation++;
        slot.next_free = first_free_;
        first_free_ = index;
    }

    Slot& operator[](std::uint32_t index) noexcept {
        assert(index < slots_.size());
        return slots_[index];
    }
    Slot& of(const Operation& operation) noexcept {
        Slot& slot = (*this)[operation.slot];
        assert(slot.place != Place::free && slot.operation == &operation);
        return slot;
    }

    /// The operation in flight that `tag` means, or null. The tag is one of ours: the system hands
    /// them back unread. No tag was ever made with the generation of a free slot.
    Operation* find(std::uint64_t tag) noexcept {
        Slot& slot = (*this)[tag & index_mask];
        return slot.generation == tag >> 32 ? slot.operation : nullptr;
    }

    template <class Visit>
    void for_each_operation(Visit&& visit) {
        for (Slot& slot : slots_)
            if (slot.place != Place::free) visit(*slot.operation);
    }

  private:
    static constexpr int kind_shift = 28;
    static constexpr std::uint32_t index_mask = (1u << kind_shift) - 1;
    static constexpr std::uint32_t none = ~std::uint32_t{0};

    void grow() {
        slots_.emplace_back();
        first_free_ = static_cast<std::uint32_t>(slots_.size() - 1);
        assert(first_free_ <= index_mask);
        slots_.back().next_free = none;
    }

    std::vector<Slot> slots_;
    std::uint32_t first_free_ = none;
};

}  // namespace asyncio::kernel
