// SPDX-License-Identifier: MIT
//
// RingFault: one thing that goes otherwise than usual in an io_uring, and where. FaultyRing puts
// it.
//
// Faults that would need a side effect undone are put in before the system sees the record:
//   fails      the record becomes one that does nothing, and its answer gets the error. (A close
//              is made, and its answer changed: close() closes also when it fails.)
//   cut        the record asks for less: the system itself transfers a part
//   ends       a multishot record becomes one that answers once
//   spurious   a poll record does nothing, and its answer says ready
// The others change the completion queue when the system has answered. What the library has not
// read of it is written anew, what is to stay in front of what is new: completions can be taken out
// and put back in any order. That moves the head of the queue, also backwards; in a large queue the
// system does not write near there.
//   breaks     a multishot is cancelled behind the library's back, and its end gets the error
//   late       completions of one operation are kept until nothing else happens any more
//   behind     ... until something else is completed
//   ahead      they come before those of others that they came with
//   lost_race  they are kept, the program is cancelled, and they come before the answer to the
//   late_race  cancel of their operation, or after it
//   cancelled  nothing but that: the program is cancelled when the operation has been handed over
//   missed     so, and the cancel of the operation finds nothing at first
//   stale      after an operation's end a completion comes that has its tag
//   told       a record whose success is not told is told, as by older systems; or gets an error
//              that it may have in spite of what it did
//   shuffled   all completions come in random order, and some later
// The order of one operation's own completions is always kept.
//
// Faults of the call itself: refused (`times` times in a row), partial (not all records are taken),
// early (it does not wait).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace asyncio::proof {

enum class Manner : std::uint8_t {
    none,
    fails,
    cut,
    ends,
    spurious,
    breaks,
    late,
    behind,
    ahead,
    lost_race,
    late_race,
    cancelled,
    missed,
    stale,
    told,
    shuffled,
    refused,
    partial,
    early,
};
inline constexpr int manners = static_cast<int>(Manner::early) + 1;

/// What a record asks for. Its number is the system's, or one of those behind.
struct RingOpcode {
    // Not yet in Debian 12's liburing.
    static constexpr int install = 54;
    static constexpr int ftruncate = 55;
    // The read of the eventfd by which a loop is woken: nobody waits for it.
    static constexpr int wake = 64;
    // Not of a record, but of the call.
    static constexpr int enter = 65;
    // Of all completions.
    static constexpr int any = 66;
    static constexpr int count = 67;
};

/// What can be faulted: the nth record or completion of an opcode.
struct RingSite {
    int opcode = 0;
    int nth = 0;  // from 1
    bool completion = false;
    bool multishot = false;
    bool last = false;  // completion: of its operation
    int size = 0;       // record: bytes to transfer; enter: records to submit
};

struct RingFault {
    int opcode = 0;
    int nth = 0;
    Manner manner = Manner::none;
    int value = 0;  // fails, breaks, refused: an errno; cut: bytes; stale: the result; told: errno
    int times = 1;  // refused
};

/// It begins with a completion, not with a record or a call.
bool is_of_completions(Manner manner) noexcept;

/// SEND, wake, enter, ...
std::string name_of_opcode(int opcode);
/// fails, late, ...
std::string_view name_of(Manner manner);
/// ECONNRESET, 1-bytes, late, stale-ECANCELED, ...
std::string name_of(const RingFault& fault);

}  // namespace asyncio::proof
