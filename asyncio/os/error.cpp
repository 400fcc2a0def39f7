// SPDX-License-Identifier: MIT
#include <asyncio/os/error.hpp>

#include <cassert>
#include <string>
#include <system_error>

namespace asyncio::os {

void throw_system_error(int errno_value, std::string_view what) {
    assert(errno_value > 0);
    throw std::system_error(errno_value, std::generic_category(), std::string(what));
}

}  // namespace asyncio::os
