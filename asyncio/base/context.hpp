// SPDX-License-Identifier: MIT
//
// Context: the values that context variables (context_var.hpp) have for one piece of work.
//
//     asyncio::Context context = asyncio::copy_context();
//     context.run([] { request_id.set("42"); });          // seen inside, not here
//     auto t = asyncio::create_task(work(), {.context = context});
//
// Each task runs in a copy of its creator's context; each callback in a copy of the one it was
// registered in. A Context object is a handle to one that has an identity: whoever is given it
// (several tasks, say) shares the changes.
//
// How it works. A set of values is a map that never changes, counted; null while nobody has set
// anything. Copying a context is copying that pointer; set() makes a new map. Work keeps its
// context in a ContextSlot, one pointer, inside its task or callback; `current_` points to the slot
// of what this thread runs now. A slot refers to
//
//     nothing            no values
//     a map              its own: set() replaces the pointer in the slot
//     a shared place     which holds the map: what a Context object is; set() replaces it there
//
// So context variables cost a program that has none a null pointer per task and callback, and one
// store each on the way in and out of a step.
//
// Threads: a Context may be used by several threads at once, and values travel between them: the
// counts are atomic (paid only when there are values), shared places are locked, values are never
// changed. A slot belongs to the thread that runs its work.
//
// In `base`, because callbacks of the loop, tasks and threads all carry one, and it knows none.
#pragma once

#include <asyncio/base/ref.hpp>
#include <asyncio/base/taken.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace asyncio {

class Context;
template <class T>
class ContextVar;

/// One value of one variable; immutable, shared by all contexts that have it.
class ContextValue : public AtomicRefCounted {
  public:
    virtual ~ContextValue() = default;
    void destroy() noexcept { delete this; }
};

/// Where a piece of work keeps its context.
class ContextSlot {
  public:
    ContextSlot() noexcept = default;
    /// What `context` refers to itself, not a copy.
    explicit ContextSlot(const Context& context) noexcept;
    ContextSlot(ContextSlot&& other) noexcept : node_(taken(other.node_)) {}
    ContextSlot& operator=(ContextSlot other) noexcept {
        auto* const old = node_;
        node_ = other.node_;
        other.node_ = old;
        return *this;
    }
    ~ContextSlot() {
        if (node_ != nullptr) [[unlikely]]
            release();
    }

    /// A copy of the context that this thread runs in.
    static ContextSlot copy_current() noexcept {
        if (current_ == nullptr) [[unlikely]]
            return current().copy();
        return current_->node_ == nullptr ? ContextSlot() : current_->copy();
    }
    /// The slot of what this thread runs; the thread's own outside of any work.
    static ContextSlot& current() noexcept;
    /// Where this thread keeps a pointer to it. For loops, which change it with each step.
    static ContextSlot*& current_place() noexcept { return current_; }

    ContextSlot copy() const noexcept;
    /// Give this context an identity and a handle, if it has none.
    Context share();

    // For ContextVar.
    Ref<ContextValue> find(std::uint64_t variable) const noexcept;
    /// Null removes it.
    void set(std::uint64_t variable, Ref<ContextValue> value);
    std::size_t size() const noexcept;
    /// What tells contexts apart.
    const void* identity() const noexcept;

  private:
    friend class ContextScope;
    struct Node;
    struct Map;
    struct Place;

    bool has_values() const noexcept;
    Ref<const Map> map() const noexcept;
    void release() noexcept;

    static thread_local constinit ContextSlot* current_;  // null: the thread's own

    Node* node_ = nullptr;
};

/// This thread runs in `slot` for the time of a C++ scope; never across a suspension.
class ContextScope {
  public:
    explicit ContextScope(ContextSlot& slot) noexcept : outer_(ContextSlot::current_) {
        ContextSlot::current_ = &slot;
    }
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;
    ~ContextScope() { ContextSlot::current_ = outer_; }

  private:
    ContextSlot* outer_;
};

/// A handle to a context; copies of the handle share it.
class Context {
  public:
    /// A new one, without values.
    Context();
    Context(const Context& other) noexcept : slot_(other) {}
    Context(Context&&) noexcept = default;
    Context& operator=(Context other) noexcept {
        slot_ = std::move(other.slot_);
        return *this;
    }

    /// f(args...) in this context: what it sets stays here. May be nested.
    template <class F, class... Args>
    decltype(auto) run(F&& f, Args&&... args) const {
        ContextSlot slot(*this);
        const ContextScope scope(slot);
        return std::forward<F>(f)(std::forward<Args>(args)...);
    }

    /// A new context with the same values.
    Context copy() const { return slot_.copy().share(); }

    /// How many variables have a value of their own here.
    std::size_t size() const noexcept { return slot_.size(); }
    template <class T>
    bool contains(const ContextVar<T>& variable) const noexcept {
        return static_cast<bool>(slot_.find(variable.id()));
    }
    /// The variable's value here; empty if none was set. (In context_var.hpp.)
    template <class T>
    std::optional<T> get(const ContextVar<T>& variable) const;

    friend bool operator==(const Context& a, const Context& b) noexcept {
        return a.slot_.identity() == b.slot_.identity();
    }

  private:
    friend class ContextSlot;
    explicit Context(ContextSlot slot) noexcept : slot_(std::move(slot)) {}

    ContextSlot slot_;  // refers to a shared place
};

/// A copy of the context the caller runs in.
Context copy_context();

/// A Context in an option struct: `{.context = context}`. A view; the callee takes its share.
class ContextView {
  public:
    constexpr ContextView() noexcept = default;
    constexpr ContextView(const Context& context) noexcept : context_(&context) {}
    constexpr ContextView(const Context* context) noexcept : context_(context) {}

    constexpr explicit operator bool() const noexcept { return context_ != nullptr; }
    constexpr const Context& operator*() const noexcept { return *context_; }

    /// The given context, or a copy of the current one.
    ContextSlot slot() const noexcept {
        return context_ != nullptr ? ContextSlot(*context_) : ContextSlot::copy_current();
    }

  private:
    const Context* context_ = nullptr;
};

}  // namespace asyncio
