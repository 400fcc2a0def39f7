// SPDX-License-Identifier: MIT
//
// Owned<T>: the only owner of an object made with new, or (Owned<T[]>) of an array of them.
//
// For members and hand-overs of our own; where users see it, it is std::unique_ptr. That one's
// deleters, tuple and conversions cost each T some five milliseconds of every compilation that
// includes us, and most of these T nobody there ever looks at.
//
// T may be incomplete where an Owned<T> is a member, and is complete where it is destroyed.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class T>
class Owned {
    using Element = std::remove_extent_t<T>;

  public:
    constexpr Owned() noexcept = default;
    explicit Owned(Element* object) noexcept : object_(object) {}
    Owned(Owned&& other) noexcept : object_(other.release()) {}
    template <class U>
        requires requires(U* from, T*& to) { to = from; }
    Owned(Owned<U>&& other) noexcept : object_(other.release()) {}
    Owned& operator=(Owned&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~Owned() { destroy(object_); }

    /// The old object is destroyed when the new one is in its place.
    void reset(Element* object = nullptr) noexcept {
        Element* const old = object_;
        object_ = object;
        destroy(old);
    }
    /// The object is the caller's now.
    [[nodiscard]] Element* release() noexcept {
        Element* const object = object_;
        object_ = nullptr;
        return object;
    }

    Element* get() const noexcept { return object_; }
    Element* operator->() const noexcept { return object_; }
    Element& operator*() const noexcept { return *object_; }
    Element& operator[](std::size_t index) const noexcept
        requires(std::is_array_v<T>)
    {
        return object_[index];
    }
    explicit operator bool() const noexcept { return object_ != nullptr; }

  private:
    static void destroy(Element* object) noexcept {
        static_assert(sizeof(Element) > 0, "the object's type is incomplete here");
        if constexpr (std::is_array_v<T>)
            delete[] object;
        else
            delete object;
    }

    Element* object_ = nullptr;
};

template <class T, class... Args>
Owned<T> make_owned(Args&&... args) {
    return Owned<T>(new T(std::forward<Args>(args)...));
}

}  // namespace asyncio
