// SPDX-License-Identifier: MIT
//
// File calls as records of io_uring. Not every system knows every one of them (rename since 5.11,
// mkdir and links since 5.15, truncate since 6.9): what this system does not know is for a thread.
#pragma once

#include <asyncio/os/file_call.hpp>

struct io_uring_sqe;

namespace asyncio::kernel {

class Operation;

/// The record's opcode for calls of this kind.
int io_uring_opcode_of(os::FileCall::Kind kind) noexcept;

void prepare_file_call(io_uring_sqe& record, const os::FileCall& call) noexcept;

/// Nobody else knows of that descriptor any more: a close is made, not taken back (K4).
bool closes_descriptor(const Operation& operation) noexcept;

}  // namespace asyncio::kernel
