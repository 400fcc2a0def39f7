// SPDX-License-Identifier: MIT
//
// FrameDepot: the store behind the FramePools of all threads. It gives out and takes back blocks in
// batches, so its mutex costs little.
//
//     region   2 MiB of address space, aligned to its size; the descriptors of its slabs stand at
//              its front, so a block's slab is found from the block's address
//     slab     64 KiB of a region, cut into blocks of one class; counts the blocks that are out
//
// What becomes of a slab:
//
//     empty, without pages --take--> in use --its last block comes back--> empty, with pages
//          ^                            ^---------------take-------------------'   |
//          '------- too much is kept (see below): its pages go to the system ------'
//
// Memory returns to the system after a peak by this rule: kKeptBytes of empty slabs stay for the
// next peak. Beyond that a region whose slabs are all empty is unmapped, and when more is empty
// than in use (a peak with scattered survivors) single slabs give their pages back.
//
// The first kSmallBytes come as ordinary pages, for the sake of small programs. Regions beyond that
// ask for huge pages (if the system lets programs ask): there the page faults of 4 KiB pages are
// the largest part of what a task costs, 1.3 us a page against 0.26.
//
// A slab per thread without a mutex was rejected: a block may be freed by any thread, also after
// the one that allocated it has ended.
//
// Threads: all functions from any. fork() waits until no other thread is inside, so a child may go
// on using coroutines.
#pragma once

#include <cstddef>

namespace asyncio::coro {

/// A free block.
struct FreeBlock {
    FreeBlock* next;
};

class FrameDepot {
  public:
    static constexpr std::size_t kGranule = 16;    // sizes are multiples of it
    static constexpr std::size_t kLargest = 1024;  // block
    static constexpr std::size_t kSlabBytes = 64u << 10;
    static constexpr std::size_t kRegionBytes = 2u << 20;
    static constexpr std::size_t kKeptBytes = 32u << 20;
    static constexpr std::size_t kSmallBytes = 8u << 20;
    static constexpr std::size_t kBatchBytes = 4096;

    struct Usage {
        std::size_t in_use = 0;  // bytes of slabs that have blocks out
        std::size_t kept = 0;    // bytes of empty slabs that keep their pages
        std::size_t mapped = 0;  // bytes of address space
    };

    struct Batch {
        FreeBlock* first = nullptr;
        std::size_t count = 0;
    };

    /// Some blocks of `size` bytes (a multiple of kGranule): at least one, about kBatchBytes of
    /// them, linked in the order of their addresses as far as they are new. Throws std::bad_alloc.
    static Batch take(std::size_t size);

    /// Take back a list of blocks, from whichever take().
    static void give_back(FreeBlock* first) noexcept;

    static Usage usage() noexcept;
};

}  // namespace asyncio::coro
