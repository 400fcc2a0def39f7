// SPDX-License-Identifier: MIT
//
// taken(pointer): what it was; it is null now.
//
// For inline functions of classes that everybody includes: std::exchange compiles a handful of
// traits for each type of pointer.
#pragma once

namespace asyncio {

template <class T>
constexpr T* taken(T*& pointer) noexcept {
    T* const was = pointer;
    pointer = nullptr;
    return was;
}

}  // namespace asyncio
