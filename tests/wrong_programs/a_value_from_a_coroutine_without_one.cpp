// SPDX-License-Identifier: MIT
// error: no member named
#include <asyncio/asyncio.hpp>

asyncio::Coro<> f() { co_return 5; }  // Coro<int> has a value
