// SPDX-License-Identifier: MIT
#include "ring_fault.hpp"

#include <cstring>

#include <liburing.h>

namespace asyncio::proof {

bool is_of_completions(Manner manner) noexcept {
    switch (manner) {
        case Manner::breaks:
        case Manner::late:
        case Manner::behind:
        case Manner::ahead:
        case Manner::lost_race:
        case Manner::late_race:
        case Manner::stale:
            return true;
        default:
            return false;
    }
}

std::string name_of_opcode(int opcode) {
    switch (opcode) {
#define OPCODE(NAME)       \
    case IORING_OP_##NAME: \
        return #NAME;
        OPCODE(NOP)
        OPCODE(POLL_ADD)
        OPCODE(SENDMSG)
        OPCODE(RECVMSG)
        OPCODE(ACCEPT)
        OPCODE(ASYNC_CANCEL)
        OPCODE(CONNECT)
        OPCODE(OPENAT)
        OPCODE(OPENAT2)
        OPCODE(CLOSE)
        OPCODE(STATX)
        OPCODE(READ)
        OPCODE(WRITE)
        OPCODE(FSYNC)
        OPCODE(SEND)
        OPCODE(RECV)
        OPCODE(RENAMEAT)
        OPCODE(UNLINKAT)
        OPCODE(MKDIRAT)
        OPCODE(SYMLINKAT)
        OPCODE(LINKAT)
#undef OPCODE
        case RingOpcode::install:
            return "FIXED_FD_INSTALL";
        case RingOpcode::ftruncate:
            return "FTRUNCATE";
        case RingOpcode::wake:
            return "wake";
        case RingOpcode::enter:
            return "enter";
        case RingOpcode::any:
            return "any";
        default:
            return std::to_string(opcode);
    }
}

std::string_view name_of(Manner manner) {
    static constexpr std::string_view names[manners] = {
        "none",   "fails",    "cut",       "ends",      "spurious",  "breaks", "late",
        "behind", "ahead",    "lost-race", "late-race", "cancelled", "missed", "stale",
        "told",   "shuffled", "refused",   "partial",   "early",
    };
    return names[static_cast<int>(manner)];
}

std::string name_of(const RingFault& fault) {
    const char* known = ::strerrorname_np(fault.value);
    const std::string error = known == nullptr ? "?" : known;
    const std::string manner(name_of(fault.manner));
    switch (fault.manner) {
        case Manner::fails:
            return error;
        case Manner::refused:
            return error + (fault.times == 1 ? "" : "-" + std::to_string(fault.times));
        case Manner::cut:
            return std::to_string(fault.value) + "-bytes";
        case Manner::breaks:
        case Manner::stale:
        case Manner::told:
            return fault.value == 0 ? manner : manner + "-" + error;
        default:
            return manner;
    }
}

}  // namespace asyncio::proof
