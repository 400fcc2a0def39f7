// SPDX-License-Identifier: MIT
#include <asyncio/task/ensure_future.hpp>

namespace asyncio::task {

std::vector<Ref<FutureCore>> room_for(std::size_t count) {
    std::vector<Ref<FutureCore>> futures;
    futures.reserve(count);
    return futures;
}

}  // namespace asyncio::task
