// SPDX-License-Identifier: MIT
#include <asyncio/kernel/operation.hpp>
#include <asyncio/os/file_call.hpp>

#include <cstdio>
#include <cstdlib>

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

// Present when the program is linked with AddressSanitizer, null elsewhere: no macro, since the
// library and the program may be compiled differently.
extern "C" void* __asan_region_is_poisoned(void*, std::size_t) __attribute__((weak));

namespace asyncio::kernel {
namespace {

[[noreturn]] void fail(const char* what, const Operation& operation) noexcept {
    std::fprintf(stderr,
                 "asyncio: the %s of an operation (fd %d) died before its completion arrived; an "
                 "operation in flight owns the memory it points to\n",
                 what, operation.fd);
    std::abort();
}

void check(const void* memory, std::size_t size, const char* what, const Operation& operation) {
    if (size != 0 && __asan_region_is_poisoned(const_cast<void*>(memory), size) != nullptr)
        fail(what, operation);
}

}  // namespace

bool Operation::is_input() const noexcept {
    switch (opcode) {
        case Opcode::accept:
        case Opcode::receive:
        case Opcode::receive_from:
            return true;
        case Opcode::poll:
            return (events & POLLIN) != 0;
        case Opcode::connect:
        case Opcode::send:
        case Opcode::file:
        case Opcode::small_file:
            return false;
    }
    return false;
}

void Operation::abort_for_death_in_flight() noexcept {
    std::fputs("asyncio: an operation was destroyed in flight; reclaim() it first\n", stderr);
    std::abort();
}

void check_lent_memory(const Operation& operation) noexcept {
    if (&__asan_region_is_poisoned == nullptr) return;
    if (operation.opcode == Opcode::connect)
        check(operation.address, operation.count, "address", operation);
    if (operation.opcode == Opcode::file) {
        check(operation.file_call, sizeof(os::FileCall), "file call", operation);
        check(operation.file_call->memory, operation.file_call->size, "buffer", operation);
    }
    if (operation.opcode != Opcode::send) return;
    check(operation.buffers, operation.count * sizeof(iovec), "buffer list", operation);
    for (std::uint32_t i = 0; i < operation.count; i++)
        check(operation.buffers[i].iov_base, operation.buffers[i].iov_len, "buffer", operation);
}

}  // namespace asyncio::kernel
