// SPDX-License-Identifier: MIT
//
// The heap of a run. What a model's thread frees goes back when the run is over: so no address is
// used twice in a run, and who uses freed memory is found.
#include <cstdlib>
#include <new>

#include "checker.hpp"

#define CALLER __builtin_return_address(0)

extern "C" {
void* __real_malloc(std::size_t);
void __real_free(void*);
}

namespace model {

void begin_descriptors() noexcept;
void check_descriptors() noexcept;

namespace {

/// Before each block of operator new.
struct alignas(16) Header {
    std::size_t size;
    std::uint64_t run;  // 0: not of a model
};

constexpr int kMost = 1 << 16;
void* returned[kMost];
int count = 0;
int living = 0;

void give_back(void* memory) noexcept {
    if (count == kMost) fail("too much memory was freed in one run");
    returned[count++] = memory;
}

void* allocate(std::size_t size) {
    auto* header = static_cast<Header*>(__real_malloc(sizeof(Header) + size));
    if (header == nullptr) throw std::bad_alloc();
    *header = {size, current != nullptr ? scheduler.run : 0};
    if (current != nullptr) ++living;
    return header + 1;
}

void release(void* memory, const void* caller) noexcept {
    if (memory == nullptr) return;
    auto* header = static_cast<Header*>(memory) - 1;
    if (current == nullptr) return __real_free(header);
    if (header->size == SIZE_MAX) fail("freed twice");
    freed(memory, header->size, caller);
    header->size = SIZE_MAX;
    if (header->run == scheduler.run) --living;
    give_back(header);
}

}  // namespace

void begin_system() noexcept {
    living = 0;
    begin_descriptors();
}

void end_system(bool count_leaks) noexcept {
    for (int i = 0; i < count; ++i) __real_free(returned[i]);
    count = 0;
    check_descriptors();
    if (count_leaks && living > 0) fail("memory was left");
}

}  // namespace model

// NOLINTBEGIN: the names are the linker's
extern "C" {
void* __wrap_malloc(std::size_t size) { return __real_malloc(size); }
void __wrap_free(void* memory) {
    if (model::current != nullptr)
        model::give_back(memory);
    else
        __real_free(memory);
}
}
// NOLINTEND

void* operator new(std::size_t size) { return model::allocate(size); }
void* operator new[](std::size_t size) { return model::allocate(size); }
void operator delete(void* memory) noexcept { model::release(memory, CALLER); }
void operator delete[](void* memory) noexcept { model::release(memory, CALLER); }
void operator delete(void* memory, std::size_t) noexcept { model::release(memory, CALLER); }
void operator delete[](void* memory, std::size_t) noexcept { model::release(memory, CALLER); }
