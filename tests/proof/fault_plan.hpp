// SPDX-License-Identifier: MIT
//
// Which faults an operation of a ring is given, and what a program may make of each.
#pragma once

#include <vector>

#include "ring_fault.hpp"
#include "ring_table.hpp"

namespace asyncio::proof {

/// One run of a scenario.
struct Fault {
    RingFault ring;
    enum class Outcome : std::uint8_t {
        unharmed,  // succeeds
        told,      // or ends as documented
        ended,     // or in any other way, in time
    } outcome = Outcome::unharmed;
};

/// Null for an opcode that the table does not know.
const RingOperation* operation_of(int opcode);

/// All faults for `site`; none if its opcode is unknown.
void add_faults(const RingSite& site, std::vector<Fault>& all);

}  // namespace asyncio::proof
