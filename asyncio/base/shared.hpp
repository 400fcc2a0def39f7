// SPDX-License-Identifier: MIT
//
// Shared<T>: one of several owners of an object, in any threads; the last of them destroys it.
//
// For members and hand-overs of our own; a user's std::shared_ptr becomes one, by itself.
// That one brings <memory>, which brings the streams, and costs each T some five milliseconds of
// every compilation that includes us.
//
// T may be incomplete, or a base of the object without a virtual destructor: what destroys it was
// settled when it was made. No weak pointers, no deleters. Threads: as those of std::shared_ptr.
#pragma once

#include <asyncio/base/ref.hpp>

#include <cstddef>
#include <utility>

namespace asyncio {

/// What keeps a shared object alive, and its count.
class SharedKeeper : public AtomicRefCounted {
  public:
    void destroy() const noexcept;

  protected:
    SharedKeeper() = default;
    virtual ~SharedKeeper();
};

/// The object itself, or somebody else's owner of it.
template <class T>
struct SharedKeeperOf final : SharedKeeper {
    template <class... Args>
    explicit SharedKeeperOf(Args&&... args) : kept(std::forward<Args>(args)...) {}

    T kept;
};

template <class T>
class Shared {
  public:
    Shared() noexcept = default;
    Shared(std::nullptr_t) noexcept {}
    Shared(const Shared&) noexcept = default;
    Shared(Shared&& other) noexcept : keeper_(std::move(other.keeper_)), object_(other.object_) {
        other.object_ = nullptr;
    }
    /// Of a std::shared_ptr or std::unique_ptr, which is kept as long as the object is shared.
    template <class Owner>
        requires requires(const Owner& owner, T*& to) { to = owner.get(); } &&
                 (requires(const Owner& owner) { owner.use_count(); } ||
                  requires(const Owner& owner) { owner.get_deleter(); })
    Shared(Owner owner) {
        T* const object = owner.get();
        if (object != nullptr) *this = Shared(new SharedKeeperOf<Owner>(std::move(owner)), object);
    }
    template <class U>
        requires requires(U* from, T*& to) { to = from; }
    Shared(Shared<U> other) noexcept : keeper_(std::move(other.keeper_)), object_(other.object_) {
        other.object_ = nullptr;
    }
    Shared& operator=(Shared other) noexcept {
        object_ = other.object_;  // first: what was shared may look at us from its destructor
        keeper_ = std::move(other.keeper_);
        return *this;
    }
    ~Shared() = default;

    template <class... Args>
    static Shared make(Args&&... args) {
        auto* const keeper = new SharedKeeperOf<T>(std::forward<Args>(args)...);
        return Shared(keeper, &keeper->kept);
    }

    T* get() const noexcept { return object_; }
    T* operator->() const noexcept { return object_; }
    decltype(auto) operator*() const noexcept { return *object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }
    friend bool operator==(const Shared& a, const Shared& b) noexcept {
        return a.object_ == b.object_;
    }
    friend bool operator==(const Shared& a, std::nullptr_t) noexcept {
        return a.object_ == nullptr;
    }

  private:
    template <class U>
    friend class Shared;

    Shared(SharedKeeper* keeper, T* object) noexcept : keeper_(keeper), object_(object) {}

    Ref<SharedKeeper> keeper_;
    T* object_ = nullptr;
};

}  // namespace asyncio
