// SPDX-License-Identifier: MIT
#include <asyncio/sync/event.hpp>

namespace asyncio {

std::string Event::description() const {
    std::string text = set_ ? "<Event set" : "<Event unset";
    if (!waiters_.empty()) text += ", waiters: " + std::to_string(waiters_.size());
    return text + ">";
}

}  // namespace asyncio
