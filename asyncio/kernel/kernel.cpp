// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/kernel/epoll_kernel.hpp>
#include <asyncio/kernel/io_uring_options.hpp>
#include <asyncio/kernel/kernel.hpp>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

namespace asyncio::kernel {
namespace {

Backend backend_from_environment() {
    const char* value = std::getenv("ASYNCIO_BACKEND");
    const std::string_view text = value == nullptr ? "" : value;
    if (text.empty() || text == "automatic") return Backend::automatic;
    if (text == "io_uring") return Backend::io_uring;
    if (text == "epoll") return Backend::epoll;
    throw std::invalid_argument("ASYNCIO_BACKEND must be io_uring or epoll, not " +
                                std::string(text));
}

std::unique_ptr<Kernel> make_fastest() {
    try {
        return make_io_uring_kernel();
    } catch (const std::system_error& refused) {
        log(LogLevel::debug,
            std::string("io_uring is not available, using epoll: ") + refused.what());
        return std::make_unique<EpollKernel>();
    }
}

}  // namespace

std::unique_ptr<Kernel> make_kernel(Backend backend) {
    if (backend == Backend::automatic) backend = backend_from_environment();
    switch (backend) {
        case Backend::io_uring:
            return make_io_uring_kernel();
        case Backend::epoll:
            return std::make_unique<EpollKernel>();
        case Backend::automatic:
            break;
    }
    return make_fastest();
}

}  // namespace asyncio::kernel
