// SPDX-License-Identifier: MIT
#include <asyncio/stream/reader.hpp>

#include <stdexcept>

namespace asyncio {

void StreamReader::consume(std::size_t count) const {
    if (count > core_->buffer().size())
        throw std::out_of_range("consume(" + std::to_string(count) + "): only " +
                                std::to_string(core_->buffer().size()) + " bytes are buffered");
    core_->buffer().consume(count);
    core_->maybe_resume_transport();
}

}  // namespace asyncio
