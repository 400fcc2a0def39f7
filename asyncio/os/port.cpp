// SPDX-License-Identifier: MIT
#include <asyncio/os/port.hpp>

#include <charconv>
#include <stdexcept>
#include <string>

namespace asyncio {

void Port::throw_out_of_range() { throw std::out_of_range("port must be 0-65535"); }

Port::Port(std::string_view text) : number_(0) {
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number_);
    if (error != std::errc() || stopped != end)
        throw std::invalid_argument("not a port (0-65535): '" + std::string(text) + "'");
}

}  // namespace asyncio
