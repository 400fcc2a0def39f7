// SPDX-License-Identifier: MIT
#include <asyncio/stream/protocol.hpp>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace asyncio {

namespace stream {

UserProtocol::~UserProtocol() = default;

void UserProtocol::destroy() noexcept {
    if (owner_) {
        const Shared<void> last = std::move(owner_);
        return;
    }
    delete this;
}

}  // namespace stream

void BufferedProtocol::data_received(std::span<const std::byte> data) {
    while (!data.empty()) {
        const std::span<std::byte> memory = get_buffer(static_cast<std::ptrdiff_t>(data.size()));
        if (memory.empty()) throw std::logic_error("get_buffer() returned an empty buffer");
        const std::size_t count = std::min(memory.size(), data.size());
        std::memcpy(memory.data(), data.data(), count);
        data = data.subspan(count);
        buffer_updated(count);
    }
}

}  // namespace asyncio
