// SPDX-License-Identifier: MIT
#include "fault_plan.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include <liburing.h>

namespace asyncio::proof {

const RingOperation* operation_of(int opcode) {
    const auto* found = std::ranges::find(ring_operations, opcode, &RingOperation::opcode);
    return found == std::end(ring_operations) ? nullptr : found;
}

namespace {

/// All faults for one site.
class FaultsOf {
  public:
    FaultsOf(const RingSite& site, std::vector<Fault>& all) : site_(site), all_(all) {
        const RingOperation* operation = operation_of(site.opcode);
        if (operation == nullptr) return;
        if (site.opcode == RingOpcode::enter)
            add_of_call(*operation);
        else if (site.completion)
            add_of_completion(*operation);
        else
            add_of_record(*operation);
    }

  private:
    using Outcome = Fault::Outcome;

    void add(Manner manner, int value = 0, Outcome outcome = Outcome::unharmed, int times = 1) {
        all_.push_back({{site_.opcode, site_.nth, manner, value, times}, outcome});
    }
    void add_of_call(const RingOperation& operation) {
        for (const int error : operation.passing)
            for (const int times : {1, 5}) add(Manner::refused, error, Outcome::unharmed, times);
        if (site_.size > 1) add(Manner::partial);
        if (site_.size > 0) add(Manner::early);
    }
    void add_of_record(const RingOperation& operation) {
        for (const int error : operation.errors) add(Manner::fails, error, Outcome::told);
        for (const int error : operation.passing) add(Manner::fails, error);
        if (site_.size > 1) add(Manner::cut, 1);
        if (site_.size > 3) add(Manner::cut, site_.size / 2);
        if (site_.size > 2) add(Manner::cut, site_.size - 1);
        if (site_.opcode == IORING_OP_RECV && site_.multishot)
            for (const int size : {1, 3, 1000}) add(Manner::cut, size);
        if (site_.multishot && site_.opcode != IORING_OP_RECVMSG) add(Manner::ends);
        if (site_.opcode == IORING_OP_POLL_ADD) add(Manner::spurious);
        if (site_.opcode == IORING_OP_ASYNC_CANCEL)
            for (const int error : {0, EALREADY}) add(Manner::told, error);
        if (site_.opcode == IORING_OP_NOP) add(Manner::told);
        if (is_own(site_.opcode)) return;
        for (const Manner manner : {Manner::cancelled, Manner::missed})
            add(manner, 0, Outcome::ended);
    }
    /// Not of the program, which does not cancel it.
    static bool is_own(int opcode) {
        return opcode == RingOpcode::wake || opcode == IORING_OP_ASYNC_CANCEL ||
               opcode == IORING_OP_NOP;
    }
    void add_of_completion(const RingOperation& operation) {
        for (const Manner manner : {Manner::late, Manner::behind, Manner::ahead}) add(manner);
        if (is_own(site_.opcode)) return;
        for (const Manner manner : {Manner::lost_race, Manner::late_race})
            add(manner, 0, Outcome::ended);
        if (site_.last)
            for (const int value : {0, ECANCELED}) add(Manner::stale, value);
        if (!site_.multishot) return;
        for (const int error : operation.breaks) add(Manner::breaks, error, Outcome::told);
        for (const int error : operation.passing_breaks) add(Manner::breaks, error);
    }

    const RingSite& site_;
    std::vector<Fault>& all_;
};

}  // namespace

void add_faults(const RingSite& site, std::vector<Fault>& all) { FaultsOf(site, all); }

}  // namespace asyncio::proof
