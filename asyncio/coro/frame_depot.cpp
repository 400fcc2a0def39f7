// SPDX-License-Identifier: MIT
#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/coro/frame_depot.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <mutex>
#include <new>

#include <pthread.h>
#include <sys/mman.h>

namespace asyncio::coro {

namespace {

constexpr std::size_t kSlabs = FrameDepot::kRegionBytes / FrameDepot::kSlabBytes;
constexpr std::size_t kKeptSlabs = FrameDepot::kKeptBytes / FrameDepot::kSlabBytes;
constexpr std::size_t kClasses = FrameDepot::kLargest / FrameDepot::kGranule + 1;

struct Region;

/// In use: in its class's list while it has a block to give. Empty: in one of the lists of empties.
struct Slab : IntrusiveListNode<Slab> {
    FreeBlock* free = nullptr;   // blocks that came back
    std::byte* fresh = nullptr;  // from here to the end nothing was given out yet
    std::byte* end = nullptr;
    std::uint32_t block = 0;  // bytes
    std::uint32_t out = 0;    // blocks

    bool exhausted() const noexcept {
        return free == nullptr && static_cast<std::size_t>(end - fresh) < block;
    }
};

/// Stands at the front of its memory.
struct Region {
    std::array<Slab, kSlabs> slabs;
    std::size_t empty = kSlabs;

    std::byte* begin_of(const Slab& slab) noexcept {
        const auto index = static_cast<std::size_t>(&slab - slabs.data());
        auto* base = reinterpret_cast<std::byte*>(this);
        return index == 0 ? base + header_bytes() : base + index * FrameDepot::kSlabBytes;
    }
    std::byte* end_of(const Slab& slab) noexcept {
        const auto index = static_cast<std::size_t>(&slab - slabs.data());
        return reinterpret_cast<std::byte*>(this) + (index + 1) * FrameDepot::kSlabBytes;
    }
    static constexpr std::size_t header_bytes() noexcept { return (sizeof(Region) + 63) / 64 * 64; }
    static Region& of(const void* inside) noexcept {
        const auto address = reinterpret_cast<std::uintptr_t>(inside);
        return *reinterpret_cast<Region*>(address & ~(FrameDepot::kRegionBytes - 1));
    }
    Slab& slab_of(const void* block) noexcept {
        const auto offset =
            reinterpret_cast<std::uintptr_t>(block) & (FrameDepot::kRegionBytes - 1);
        return slabs[offset / FrameDepot::kSlabBytes];
    }
};

/// A region's worth of address space, aligned; null if there is none.
void* map_region() noexcept {
    constexpr std::size_t kSize = FrameDepot::kRegionBytes;
    void* memory = ::mmap(nullptr, 2 * kSize, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto* begin = static_cast<std::byte*>(memory);
    const std::size_t surplus = reinterpret_cast<std::uintptr_t>(begin) % kSize;
    const std::size_t before = surplus == 0 ? 0 : kSize - surplus;
    if (before > 0) ::munmap(begin, before);
    ::munmap(begin + before + kSize, kSize - before);
    return begin + before;
}

class Depot {
  public:
    FrameDepot::Batch take(std::size_t size);
    void give_back(FreeBlock* first) noexcept;
    FrameDepot::Usage usage() noexcept;
    std::mutex& mutex() noexcept { return mutex_; }

  private:
    Slab& slab_for(std::size_t size);
    void add_region();
    void emptied(Slab& slab) noexcept;
    void unmap(Region& region) noexcept;
    void return_pages(Slab& slab) noexcept;

    std::mutex mutex_;
    std::array<IntrusiveList<Slab>, kClasses> givers_;
    IntrusiveList<Slab> kept_;      // empty, with pages
    IntrusiveList<Slab> pageless_;  // empty, without
    std::size_t kept_count_ = 0;
    std::size_t in_use_ = 0;
    std::size_t regions_ = 0;
};

/// Blocks can be freed while static objects are destroyed, so this one never is. No thread is
/// inside it while another forks: the child would find it locked for ever.
Depot& depot() {
    static Depot* const instance = new Depot;
    static const int guarded =
        ::pthread_atfork([] { instance->mutex().lock(); }, [] { instance->mutex().unlock(); },
                         [] { instance->mutex().unlock(); });
    static_cast<void>(guarded);
    return *instance;
}

void Depot::add_region() {
    void* memory = map_region();
    if (memory == nullptr) throw std::bad_alloc();
    if (regions_ >= FrameDepot::kSmallBytes / FrameDepot::kRegionBytes)
        (void)::madvise(memory, FrameDepot::kRegionBytes, MADV_HUGEPAGE);
    ++regions_;
    auto* region = ::new (memory) Region;
    for (Slab& slab : region->slabs) pageless_.push_back(slab);
}

/// A slab that can give a block of `size`.
Slab& Depot::slab_for(std::size_t size) {
    IntrusiveList<Slab>& givers = givers_[size / FrameDepot::kGranule];
    if (!givers.empty()) return givers.front();
    const bool kept = !kept_.empty();
    if (!kept && pageless_.empty()) add_region();
    Slab& slab = (kept ? kept_ : pageless_).pop_front();
    if (kept) --kept_count_;
    ++in_use_;
    Region& region = Region::of(&slab);
    --region.empty;
    slab.free = nullptr;
    slab.fresh = region.begin_of(slab);
    slab.end = region.end_of(slab);
    slab.block = static_cast<std::uint32_t>(size);
    givers.push_front(slab);
    return slab;
}

FrameDepot::Batch Depot::take(std::size_t size) {
    const std::lock_guard lock(mutex_);
    Slab& slab = slab_for(size);
    FrameDepot::Batch batch;
    FreeBlock** tail = &batch.first;
    const std::size_t most = std::max<std::size_t>(FrameDepot::kBatchBytes / size, 1);
    while (batch.count < most && !slab.exhausted()) {
        FreeBlock* block = slab.free;
        if (block != nullptr) {
            slab.free = block->next;
        } else {
            block = ::new (static_cast<void*>(slab.fresh)) FreeBlock;
            slab.fresh += size;
        }
        *tail = block;
        tail = &block->next;
        ++batch.count;
    }
    *tail = nullptr;
    slab.out += static_cast<std::uint32_t>(batch.count);
    if (slab.exhausted()) slab.unlink();
    return batch;
}

void Depot::give_back(FreeBlock* first) noexcept {
    const std::lock_guard lock(mutex_);
    while (FreeBlock* block = first) {
        first = block->next;
        Slab& slab = Region::of(block).slab_of(block);
        block->next = slab.free;
        slab.free = block;
        if (!slab.linked()) givers_[slab.block / FrameDepot::kGranule].push_front(slab);
        if (--slab.out == 0) emptied(slab);
    }
}

void Depot::emptied(Slab& slab) noexcept {
    slab.unlink();
    kept_.push_front(slab);
    ++kept_count_;
    --in_use_;
    Region& region = Region::of(&slab);
    if (++region.empty == kSlabs && kept_count_ > kKeptSlabs) unmap(region);
    while (kept_count_ > kKeptSlabs + in_use_) return_pages(kept_.front());
}

void Depot::unmap(Region& region) noexcept {
    for (Slab& slab : region.slabs) {
        if (slab.fresh != nullptr) --kept_count_;
        slab.unlink();
    }
    --regions_;
    ::munmap(&region, FrameDepot::kRegionBytes);
}

void Depot::return_pages(Slab& slab) noexcept {
    slab.unlink();
    --kept_count_;
    pageless_.push_back(slab);
    slab.fresh = nullptr;
    Region& region = Region::of(&slab);
    // The first slab's first page holds the descriptors.
    std::byte* const end = region.end_of(slab);
    std::byte* const begin = end - FrameDepot::kSlabBytes;
    const std::size_t header = &slab == region.slabs.data() ? FrameDepot::kBatchBytes : 0;
    ::madvise(begin + header, FrameDepot::kSlabBytes - header, MADV_DONTNEED);
}

FrameDepot::Usage Depot::usage() noexcept {
    const std::lock_guard lock(mutex_);
    return {in_use_ * FrameDepot::kSlabBytes, kept_count_ * FrameDepot::kSlabBytes,
            regions_ * FrameDepot::kRegionBytes};
}

}  // namespace

FrameDepot::Batch FrameDepot::take(std::size_t size) { return depot().take(size); }
void FrameDepot::give_back(FreeBlock* first) noexcept { depot().give_back(first); }
FrameDepot::Usage FrameDepot::usage() noexcept { return depot().usage(); }

}  // namespace asyncio::coro
