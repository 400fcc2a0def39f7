// SPDX-License-Identifier: MIT
//
// Outcome<T>: what a piece of work came to, a value or an exception, as a value one can look at.
//
// What as_outcome() and gather(return_exceptions, ...) give, and what a promise keeps. A third
// state, empty, exists only before the work ended; users never see it.
//
//     auto r = co_await asyncio::as_outcome(step());
//     if (!r) co_await recover(r.error());
//     else use(*r);
#pragma once

#include <asyncio/base/error.hpp>

#include <cassert>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class T = void>
class [[nodiscard]] Outcome {
    static_assert(!std::is_reference_v<T>, "an Outcome holds a value; use T* or a wrapper");

  public:
    using value_type = T;

    Outcome() noexcept {}
    template <class U>
        requires(std::is_constructible_v<T, U &&> &&
                 !std::is_same_v<std::remove_cvref_t<U>, Outcome> &&
                 !std::is_same_v<std::remove_cvref_t<U>, std::exception_ptr>)
    Outcome(U&& value) {
        set_value(std::forward<U>(value));
    }
    Outcome(std::exception_ptr error) noexcept { set_error(std::move(error)); }

    Outcome(const Outcome& other)
        requires std::is_copy_constructible_v<T>
    {
        if (other.has_value())
            set_value(other.value_);
        else if (other.kind_ == Kind::error)
            set_error(other.error_);
    }
    Outcome(Outcome&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
        if (other.has_value())
            set_value(std::move(other.value_));
        else if (other.kind_ == Kind::error)
            set_error(std::move(other.error_));
    }
    Outcome& operator=(Outcome other) noexcept(std::is_nothrow_move_constructible_v<T>) {
        reset();
        ::new (static_cast<void*>(this)) Outcome(std::move(other));
        return *this;
    }
    ~Outcome() { reset(); }

    template <class... Args>
    T& set_value(Args&&... args) {
        assert(kind_ == Kind::empty);
        T* value =
            ::new (static_cast<void*>(std::addressof(value_))) T(std::forward<Args>(args)...);
        kind_ = Kind::value;
        return *value;
    }
    void set_error(std::exception_ptr error) noexcept {
        assert(error);
        reset();  // a destructor may throw after the value was set
        ::new (static_cast<void*>(&error_)) std::exception_ptr(std::move(error));
        kind_ = Kind::error;
    }

    bool empty() const noexcept { return kind_ == Kind::empty; }
    bool has_value() const noexcept { return kind_ == Kind::value; }
    explicit operator bool() const noexcept { return has_value(); }

    /// The exception, or null.
    std::exception_ptr error() const noexcept {
        return kind_ == Kind::error ? error_ : std::exception_ptr();
    }
    /// True if the error is a CancelledError.
    bool cancelled() const noexcept { return is_cancelled_error(error()); }

    /// The value; throws the exception if there is one.
    T& value() & {
        if (kind_ == Kind::error) std::rethrow_exception(error_);
        assert(has_value());
        return value_;
    }
    const T& value() const& { return const_cast<Outcome*>(this)->value(); }
    T value() && { return take(); }

    /// Move the value out; throws the exception if there is one.
    T take() { return std::move(value()); }

    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T operator*() && { return std::move(*this).value(); }
    T* operator->() { return std::addressof(value()); }
    const T* operator->() const { return std::addressof(value()); }

  private:
    enum class Kind : unsigned char { empty, value, error };

    void reset() noexcept {
        if (kind_ == Kind::value) value_.~T();
        if (kind_ == Kind::error) error_.~exception_ptr();
        kind_ = Kind::empty;
    }

    union {
        T value_;
        std::exception_ptr error_;
    };
    Kind kind_ = Kind::empty;
};

template <>
class [[nodiscard]] Outcome<void> {
  public:
    using value_type = void;

    Outcome() noexcept = default;
    Outcome(std::exception_ptr error) noexcept : error_(std::move(error)) {}

    void set_value() noexcept {}
    void set_error(std::exception_ptr error) noexcept { error_ = std::move(error); }

    bool has_value() const noexcept { return !error_; }
    explicit operator bool() const noexcept { return has_value(); }
    std::exception_ptr error() const noexcept { return error_; }
    bool cancelled() const noexcept { return is_cancelled_error(error_); }
    void value() const {
        if (error_) std::rethrow_exception(error_);
    }
    void take() const { value(); }
    void operator*() const { value(); }

  private:
    std::exception_ptr error_;
};

}  // namespace asyncio
