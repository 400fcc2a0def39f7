// SPDX-License-Identifier: MIT
#include <asyncio/base/shared.hpp>

namespace asyncio {

SharedKeeper::~SharedKeeper() = default;

void SharedKeeper::destroy() const noexcept { delete this; }

}  // namespace asyncio
