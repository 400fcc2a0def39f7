// SPDX-License-Identifier: MIT
#include <asyncio/stream/bytes.hpp>
#include <asyncio/stream/transport.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio::stream {

namespace {

constexpr std::size_t kDefaultHighWater = 65536;

}  // namespace

void Transport::writelines(std::span<const std::span<const std::byte>> lines) {
    for (const std::span<const std::byte> line : lines) write(line);
}

void Transport::write(std::string_view text) { write(bytes_of(text)); }

void Transport::begin_closing() noexcept {
    if (std::exchange(closing_, true)) return;
    if (Protocol* const protocol = get_protocol()) protocol->transport_closing();
}

void Transport::set_write_buffer_limits(Option<std::size_t> high, Option<std::size_t> low) {
    apply_write_buffer_limits(limits_from(high, low));
}

WriteBufferLimits limits_from(Option<std::size_t> high, Option<std::size_t> low) {
    const std::size_t top = high ? *high : low ? 4 * *low : kDefaultHighWater;
    const std::size_t bottom = low ? *low : top / 4;
    if (top < bottom || top > UINT32_MAX)
        throw std::invalid_argument("write buffer limits: high (" + std::to_string(top) +
                                    ") must be >= low (" + std::to_string(bottom) +
                                    ") and below 4 GiB");
    return {.low = bottom, .high = top};
}

}  // namespace asyncio::stream
