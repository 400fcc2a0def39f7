// SPDX-License-Identifier: MIT
#include <asyncio/base/system_error.hpp>

#include <string>
#include <system_error>

namespace asyncio {

std::exception_ptr make_system_error(int errno_value, std::string_view what) noexcept {
    try {
        return std::make_exception_ptr(
            std::system_error(errno_value, std::generic_category(), std::string(what)));
    } catch (...) {
        return std::current_exception();
    }
}

}  // namespace asyncio
