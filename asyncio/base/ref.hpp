// SPDX-License-Identifier: MIT
//
// Ref<T>: a counted pointer to an object that counts itself. The count of a RefCounted is not
// atomic: all references of one object belong to one thread. That of an AtomicRefCounted is, for
// the few types whose documentation says that they cross threads. T::destroy() frees it.
#pragma once

#include <cassert>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace asyncio {

class RefCounted {
  public:
    RefCounted() = default;
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;

    void add_ref() noexcept { ++references_; }
    /// True if that was the last reference.
    [[nodiscard]] bool drop_ref() noexcept {
        assert(references_ > 0);
        return --references_ == 0;
    }
    std::uint32_t references() const noexcept { return references_; }

  protected:
    ~RefCounted() = default;

  private:
    std::uint32_t references_ = 0;
};

class AtomicRefCounted {
  public:
    AtomicRefCounted() = default;
    AtomicRefCounted(const AtomicRefCounted&) = delete;
    AtomicRefCounted& operator=(const AtomicRefCounted&) = delete;

    void add_ref() const noexcept;
    /// True if that was the last reference: what others did before is visible then.
    [[nodiscard]] bool drop_ref() const noexcept;

  protected:
    ~AtomicRefCounted() = default;

  private:
    mutable std::uint32_t references_ = 0;  // by std::atomic_ref: <atomic> is a heavy header
};

/// (Written without std::exchange and std::swap: every program that includes us makes dozens of
/// these, and would compile those for each.)
template <class T>
class Ref {
  public:
    Ref() noexcept = default;
    explicit Ref(T* object) noexcept : object_(object) {
        if (object_ != nullptr) object_->add_ref();
    }
    Ref(const Ref& other) noexcept : Ref(other.object_) {}
    Ref(Ref&& other) noexcept : object_(other.release()) {}
    template <class U>
        requires requires(U* from, T*& to) { to = from; }
    Ref(const Ref<U>& other) noexcept : Ref(other.get()) {}
    template <class U>
        requires requires(U* from, T*& to) { to = from; }
    Ref(Ref<U>&& other) noexcept : object_(other.release()) {}
    Ref& operator=(Ref other) noexcept {
        T* const old = object_;
        object_ = other.object_;
        other.object_ = old;
        return *this;
    }
    ~Ref() {
        if (object_ != nullptr && object_->drop_ref()) object_->destroy();
    }

    /// The reference is the caller's now.
    [[nodiscard]] T* release() noexcept {
        T* const object = object_;
        object_ = nullptr;
        return object;
    }
    T* get() const noexcept { return object_; }
    T* operator->() const noexcept { return object_; }
    T& operator*() const noexcept { return *object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }
    friend bool operator==(const Ref& a, const Ref& b) noexcept { return a.object_ == b.object_; }

  private:
    T* object_ = nullptr;
};

}  // namespace asyncio
