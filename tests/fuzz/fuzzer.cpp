// SPDX-License-Identifier: MIT
//
// libFuzzer's door to the one target that is linked with this file.
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    asyncio::fuzz::Input input({data, size});
    asyncio::fuzz::Target::first()->function(input);
    return 0;
}
