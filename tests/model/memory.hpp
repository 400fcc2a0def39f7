// SPDX-License-Identifier: MIT
//
// Atomic operations, between the hooks and the memory of the model. For the current thread.
#pragma once

#include "checker.hpp"

namespace model {

enum class Order : std::uint8_t { relaxed, consume, acquire, release, acq_rel, seq_cst };

/// Others may take a turn first; afterwards the operation is made at once.
void before_atomic(const void* address, bool changes, const void* caller) noexcept;
/// The current thread only asks the same again and again: others must have a turn.
void check_spinning(const void* address) noexcept;
/// What a load returns, where `value` is the newest. `newest`: nothing else will do.
std::uint64_t loaded(const void* address, std::size_t size, std::uint64_t value, Order order,
                     bool newest, const void* caller) noexcept;
/// A store, or an operation that read `before` and wrote `value`.
void stored(const void* address, std::size_t size, std::uint64_t before, std::uint64_t value,
            Order order, bool reads, const void* caller) noexcept;

/// The mutex at this address, if there is one, is no more (system.cpp).
void forget_mutex(const void* address) noexcept;

}  // namespace model
