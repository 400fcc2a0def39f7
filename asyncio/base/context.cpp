// SPDX-License-Identifier: MIT
#include <asyncio/base/context.hpp>
#include <asyncio/base/context_var.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace asyncio {

constinit thread_local ContextSlot* ContextSlot::current_ = nullptr;

struct ContextSlot::Node : AtomicRefCounted {
    explicit Node(bool place) noexcept : is_place(place) {}
    void destroy() const noexcept;
    const bool is_place;
};

/// The values, sorted by the variables' numbers. Immutable.
struct ContextSlot::Map final : Node {
    struct Entry {
        std::uint64_t variable;
        Ref<ContextValue> value;
    };

    Map() noexcept : Node(false) {}

    ContextValue* find(std::uint64_t variable) const noexcept {
        const auto it = std::ranges::lower_bound(entries, variable, {}, &Entry::variable);
        return it != entries.end() && it->variable == variable ? it->value.get() : nullptr;
    }

    /// `old` (or nothing), with one value exchanged; null if no value is left.
    static Ref<Map> changed(const Map* old, std::uint64_t variable, Ref<ContextValue> value) {
        Ref<Map> map(new Map);
        if (old != nullptr) {
            map->entries.reserve(old->entries.size() + 1);
            for (const Entry& entry : old->entries)
                if (entry.variable != variable) map->entries.push_back(entry);
        }
        if (value) {
            const auto at = std::ranges::lower_bound(map->entries, variable, {}, &Entry::variable);
            map->entries.insert(at, {variable, std::move(value)});
        }
        return map->entries.empty() ? Ref<Map>() : map;
    }

    std::vector<Entry> entries;
};

/// A place that several share.
struct ContextSlot::Place final : Node {
    explicit Place(Ref<const Map> values) noexcept
        : Node(true), map(std::move(values)), has_values(static_cast<bool>(map)) {}

    void set(Ref<const Map> values) {  // REQUIRES: mutex
        map = std::move(values);
        has_values.store(static_cast<bool>(map), std::memory_order_release);
    }

    std::mutex mutex;
    Ref<const Map> map;            // guarded by mutex
    std::atomic<bool> has_values;  // spares a program without variables the mutex
};

void ContextSlot::Node::destroy() const noexcept {
    if (is_place)
        delete static_cast<const Place*>(this);
    else
        delete static_cast<const Map*>(this);
}

ContextSlot::ContextSlot(const Context& context) noexcept : node_(context.slot_.node_) {
    if (node_ != nullptr) node_->add_ref();
}

void ContextSlot::release() noexcept {
    Node* node = std::exchange(node_, nullptr);
    if (node->drop_ref()) node->destroy();
}

ContextSlot& ContextSlot::current() noexcept {
    static thread_local ContextSlot of_the_thread;
    return current_ != nullptr ? *current_ : of_the_thread;
}

inline bool ContextSlot::has_values() const noexcept {
    if (node_ == nullptr) return false;
    return !node_->is_place ||
           static_cast<Place&>(*node_).has_values.load(std::memory_order_acquire);
}

/// The values as they are now.
Ref<const ContextSlot::Map> ContextSlot::map() const noexcept {
    if (!has_values()) return {};
    if (!node_->is_place) return Ref<const Map>(static_cast<const Map*>(node_));
    auto& place = static_cast<Place&>(*node_);
    const std::lock_guard lock(place.mutex);
    return place.map;
}

ContextSlot ContextSlot::copy() const noexcept {
    ContextSlot slot;
    if (has_values()) slot.node_ = const_cast<Map*>(map().release());
    return slot;
}

Context ContextSlot::share() {
    if (node_ == nullptr || !node_->is_place) {
        const Ref<Place> place(new Place(map()));
        place->add_ref();
        if (node_ != nullptr) release();
        node_ = place.get();
    }
    ContextSlot same;
    node_->add_ref();
    same.node_ = node_;
    return Context(std::move(same));
}

Ref<ContextValue> ContextSlot::find(std::uint64_t variable) const noexcept {
    const Ref<const Map> values = map();
    return Ref<ContextValue>(values ? values->find(variable) : nullptr);
}

void ContextSlot::set(std::uint64_t variable, Ref<ContextValue> value) {
    // What the old values' destructors do, they do after the change, and without the lock.
    Ref<const Map> old;
    if (node_ != nullptr && node_->is_place) {
        auto& place = static_cast<Place&>(*node_);
        const std::lock_guard lock(place.mutex);
        old = place.map;
        place.set(Map::changed(old.get(), variable, std::move(value)));
    } else {
        old = map();
        const Ref<Map> values = Map::changed(old.get(), variable, std::move(value));
        if (node_ != nullptr) release();
        node_ = values.get();
        if (node_ != nullptr) node_->add_ref();
    }
}

std::size_t ContextSlot::size() const noexcept {
    const Ref<const Map> values = map();
    return values ? values->entries.size() : 0;
}

const void* ContextSlot::identity() const noexcept {
    if (node_ != nullptr && node_->is_place) return node_;
    return this;
}

Context::Context() : Context(ContextSlot().share()) {}

Context copy_context() { return ContextSlot::copy_current().share(); }

// --- what context variables need without their type ----------------------------------------------

std::uint64_t context_var::next_id() noexcept {
    static std::atomic<std::uint64_t> next{1};
    return next.fetch_add(1, std::memory_order_relaxed);
}

void context_var::throw_no_value(const std::string& name) {
    throw std::out_of_range("the context variable " + (name.empty() ? "" : "'" + name + "' ") +
                            "has no value");
}

void context_var::TokenState::check(std::uint64_t id) const {
    if (used) throw std::logic_error("Token has already been used once");
    if (variable != id) throw std::invalid_argument("Token was created by a different ContextVar");
    if (!created_here()) throw std::invalid_argument("Token was created in a different Context");
}

/// The slot of a context may have become a shared place since.
bool context_var::TokenState::created_here() const noexcept {
    const ContextSlot& slot = ContextSlot::current();
    return context == &slot || context == slot.identity();
}

void context_var::TokenState::restore() {
    used = true;
    ContextSlot::current().set(variable, std::move(previous));
}

}  // namespace asyncio
