// SPDX-License-Identifier: MIT
//
// Where queues keep their items: Ring for first in first out and last in first out, Heap for
// smallest first. Each has push(item), pop(), size(), and nothing to say about waiting. What they
// do seldom they are asked for by name, so that push() and pop() call nothing and save no
// registers: make_room() before a push unless has_room(), release() after the pop of the
// last_of_many().
//
// A Ring is one block whose size is a power of two: it doubles when full, and is given back when it
// runs empty after a peak (kKept bytes are kept). No std::deque: that allocates half a kilobyte
// when made, and 512 bytes at a time later. A Heap is a vector; among equals the oldest comes
// first.
//
// An item whose move constructor throws is copied when the block grows, if it can be, so that
// growing loses nothing.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <utility>
#include <vector>

namespace asyncio::sync {

template <class T>
class Ring {
  public:
    Ring() noexcept = default;
    Ring(Ring&& other) noexcept { swap(other); }
    Ring& operator=(Ring&&) = delete;
    ~Ring() {
        while (last_ != first_) at(--last_)->~T();
        release();
    }

    std::size_t size() const noexcept { return last_ - first_; }

    bool has_room() const noexcept { return size() != capacity_; }
    [[gnu::noinline]] void make_room() {
        const std::size_t capacity = capacity_ == 0 ? kLeast : capacity_ * 2;
        std::allocator<T> memory;
        Ring larger;
        larger.block_ = memory.allocate(capacity);
        larger.capacity_ = capacity;
        for (std::size_t i = first_; i != last_; ++i, ++larger.last_)
            ::new (static_cast<void*>(larger.at(larger.last_))) T(std::move_if_noexcept(*at(i)));
        swap(larger);
    }
    /// REQUIRES: has_room()
    void push(T&& item) {
        ::new (static_cast<void*>(at(last_))) T(std::move(item));
        ++last_;
    }

    /// A large block runs empty with the next pop.
    bool last_of_many() const noexcept { return size() == 1 && capacity_ * sizeof(T) > kKept; }
    /// REQUIRES: size() == 0
    [[gnu::noinline]] void release() noexcept {
        if (capacity_ != 0) std::allocator<T>().deallocate(block_, capacity_);
        block_ = nullptr;
        capacity_ = first_ = last_ = 0;
    }
    /// The oldest. It stays if its move throws. REQUIRES: size() > 0
    T pop_front() {
        T item = take(*at(first_));
        ++first_;
        return item;
    }
    /// The same, in one move.
    void pop_front(std::optional<T>& to) {
        T& place = *at(first_);
        to.emplace(std::move(place));
        place.~T();
        ++first_;
    }
    /// The newest, the same.
    T pop_back() {
        T item = take(*at(last_ - 1));
        --last_;
        return item;
    }
    void swap(Ring& other) noexcept {
        std::swap(block_, other.block_);
        std::swap(capacity_, other.capacity_);
        std::swap(first_, other.first_);
        std::swap(last_, other.last_);
    }
    /// All items, to be destroyed by the caller.
    Ring take_all() noexcept { return std::move(*this); }

  private:
    static constexpr std::size_t kKept = 4096;
    static constexpr std::size_t kLeast = std::bit_ceil(sizeof(T) < 64 ? 64 / sizeof(T) : 1);

    static T take(T& place) {
        T item = std::move(place);
        place.~T();
        return item;
    }
    T* at(std::size_t position) const noexcept { return block_ + (position & (capacity_ - 1)); }

    T* block_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t first_ = 0;  // positions count up for ever: an item at one is in the block at the
    std::size_t last_ = 0;   // position modulo the capacity
};

template <class T>
struct FifoStore : Ring<T> {
    T pop() { return this->pop_front(); }
};

template <class T>
struct LifoStore : Ring<T> {
    T pop() { return this->pop_back(); }
};

/// The default order: by operator<.
struct Smaller {
    template <class T>
    bool operator()(const T& a, const T& b) const {
        return a < b;
    }
};

template <class T, class Compare>
class Heap {
  public:
    explicit Heap(Compare compare = Compare()) : compare_(std::move(compare)) {}

    std::size_t size() const noexcept { return entries_.size(); }
    static constexpr bool has_room() noexcept { return true; }  // the vector sees to it
    static constexpr bool last_of_many() noexcept { return false; }
    void make_room() noexcept {}
    void release() noexcept {}

    void push(T&& item) {
        entries_.push_back(Entry{std::move(item), pushed_++});
        sift_up(entries_.size() - 1);
    }
    /// The smallest; of equals the oldest. REQUIRES: size() > 0
    T pop() {
        assert(!entries_.empty());
        T item = std::move(entries_.front().item);
        Entry last = std::move(entries_.back());
        entries_.pop_back();
        if (!entries_.empty()) sift_down(std::move(last));
        return item;
    }
    auto take_all() noexcept { return std::exchange(entries_, {}); }

  private:
    struct Entry {
        T item;
        std::uint64_t number;
    };

    bool before(const Entry& a, const Entry& b) {
        if (compare_(a.item, b.item)) return true;
        return !compare_(b.item, a.item) && a.number < b.number;
    }
    void sift_up(std::size_t hole) {
        while (hole > 0) {
            const std::size_t parent = (hole - 1) / 2;
            if (!before(entries_[hole], entries_[parent])) break;
            std::swap(entries_[hole], entries_[parent]);
            hole = parent;
        }
    }
    /// Put `entry` into the place of the first.
    void sift_down(Entry entry) {
        std::size_t hole = 0;
        for (std::size_t child; (child = 2 * hole + 1) < entries_.size(); hole = child) {
            if (child + 1 < entries_.size() && before(entries_[child + 1], entries_[child]))
                ++child;
            if (!before(entries_[child], entry)) break;
            entries_[hole] = std::move(entries_[child]);
        }
        entries_[hole] = std::move(entry);
    }

    std::vector<Entry> entries_;
    std::uint64_t pushed_ = 0;
    Compare compare_;
};

}  // namespace asyncio::sync
