// SPDX-License-Identifier: MIT
//
// ContextVar<T>: a variable with a value of its own in each task.
//
//     asyncio::ContextVar<std::string> request_id("none");     // at namespace scope
//
//     auto token = request_id.set("42");       // from here on, in this task and those it creates
//     log(request_id.get());
//     request_id.reset(token);                 // what it was before
//     auto scope = request_id.scoped("43");    // reset by the destructor
//
// A coroutine that is awaited shares its caller's values; a task starts with a copy of its
// creator's, and a callback with a copy of those at its registration. See context.hpp.
//
// T is any copyable type. get() copies: make T a std::shared_ptr if that is dear. A value is
// destroyed with the last context that has it, in whichever thread that is.
// The variable is its identity: neither copied nor moved. It may be destroyed before the contexts
// that have values of it: those are never seen again, and go with their contexts.
//
// Threads: the variable may be used from any.
#pragma once

#include <asyncio/base/context.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace asyncio {

namespace context_var {

std::uint64_t next_id() noexcept;
[[noreturn]] void throw_no_value(const std::string& name);

template <class T>
struct Value final : ContextValue {
    explicit Value(T&& v) : value(std::move(v)) {}
    const T value;
};

/// A Token without the type of its value.
struct TokenState {
    std::uint64_t variable;
    Ref<ContextValue> previous;
    const void* context;  // where it was made
    bool used = false;

    void check(std::uint64_t id) const;
    bool created_here() const noexcept;
    void restore();
};

}  // namespace context_var

/// What set() returns: the way back, once, in the context it was made in.
template <class T>
class Token {
  public:
    Token(Token&&) noexcept = default;
    Token& operator=(Token&&) noexcept = default;

    /// The value before; empty if there was none.
    std::optional<T> old_value() const {
        if (!state_.previous) return std::nullopt;
        return static_cast<const context_var::Value<T>&>(*state_.previous).value;
    }

  private:
    friend class ContextVar<T>;
    explicit Token(context_var::TokenState&& state) noexcept : state_(std::move(state)) {}

    context_var::TokenState state_;
};

template <class T>
class ContextVar {
    static_assert(std::is_copy_constructible_v<T> && std::is_object_v<T>,
                  "a context variable's value is copied by get(): use std::shared_ptr<T>");

  public:
    using value_type = T;

    /// Resets the variable at the end of a C++ scope, if that ends in the same context.
    class [[nodiscard]] Scope {
      public:
        Scope(Scope&& other) noexcept : token_(std::move(other.token_)) {
            other.token_.state_.used = true;
        }
        Scope& operator=(Scope&&) = delete;
        ~Scope() {
            if (!token_.state_.used && token_.state_.created_here()) token_.state_.restore();
        }

      private:
        friend ContextVar;
        explicit Scope(Token<T>&& token) noexcept : token_(std::move(token)) {}
        Token<T> token_;
    };

    /// `fallback` is what get() gives where no value was set; the name is for people.
    explicit ContextVar(std::optional<T> fallback = {}, std::string_view name = {})
        : fallback_(std::move(fallback)), name_(name) {}
    ContextVar(const ContextVar&) = delete;
    ContextVar& operator=(const ContextVar&) = delete;

    /// The value in the current context, else the variable's default; std::out_of_range if it has
    /// none either.
    T get() const {
        if (const Ref<ContextValue> value = ContextSlot::current().find(id_)) return of(*value);
        if (!fallback_) context_var::throw_no_value(name_);
        return *fallback_;
    }
    /// The value in the current context, else `fallback`.
    T get(T fallback) const {
        if (const Ref<ContextValue> value = ContextSlot::current().find(id_)) return of(*value);
        return fallback;
    }
    Token<T> set(T value) {
        ContextSlot& slot = ContextSlot::current();
        Token<T> token({id_, slot.find(id_), slot.identity()});
        slot.set(id_, Ref<ContextValue>(new context_var::Value<T>(std::move(value))));
        return token;
    }

    /// Back to what it was before set() gave `token`. std::logic_error if that was done already,
    /// std::invalid_argument for another variable's token or another context's.
    void reset(Token<T>& token) {
        token.state_.check(id_);
        token.state_.restore();
    }
    void reset(Token<T>&& token) { reset(token); }

    /// set(), and reset() at the end of the C++ scope.
    Scope scoped(T value) { return Scope(set(std::move(value))); }

    const std::string& name() const noexcept { return name_; }
    /// Unique in the process.
    std::uint64_t id() const noexcept { return id_; }

  private:
    friend class Context;
    static const T& of(const ContextValue& value) noexcept {
        return static_cast<const context_var::Value<T>&>(value).value;
    }

    const std::uint64_t id_ = context_var::next_id();
    const std::optional<T> fallback_;
    const std::string name_;
};

template <class T>
std::optional<T> Context::get(const ContextVar<T>& variable) const {
    const Ref<ContextValue> value = slot_.find(variable.id());
    if (!value) return std::nullopt;
    return ContextVar<T>::of(*value);
}

}  // namespace asyncio
