// SPDX-License-Identifier: MIT
#include <asyncio/stream/bytes.hpp>
#include <asyncio/stream/reader.hpp>

#include <stdexcept>

namespace asyncio {

void stream::throw_too_much_consumed(std::size_t count, std::size_t buffered) {
    throw std::out_of_range("consume(" + std::to_string(count) + "): only " +
                            std::to_string(buffered) + " bytes are buffered");
}

void StreamReader::feed_data(std::string_view data) const { core_->feed(stream::bytes_of(data)); }

}  // namespace asyncio
