// SPDX-License-Identifier: MIT
//
// SmallFile: what a completion of Opcode::small_file brings: a file's whole content at once, if the
// system has it in memory, or the file opened, or nothing. Threads: the kernel's.
#pragma once

#include <asyncio/kernel/operation.hpp>

namespace asyncio::kernel {

/// Every completion of small_file with result >= 0 is one of these; result counts `data`'s bytes.
/// It has `more`, although nothing more comes: the operation stays submitted, and the data there,
/// until the owner calls Kernel::reclaim(). So memory of ours holds it until somebody wants it.
struct SmallFile : Completion {
    /// Larger files are only opened.
    static constexpr std::size_t largest = 16 * 1024;  // bytes

    /// -1: `data` is all of the file, which is closed, and not empty. Else a descriptor that the
    /// callback owns. It stands behind `data`: what has no positions (a FIFO) gives that only once.
    int fd = -1;
};

}  // namespace asyncio::kernel
