// SPDX-License-Identifier: MIT
//
// IoUringSlots: operations come and go while completions arrive for present and for past ones, in
// any order; a tag finds its own operation or nobody (catalogue A6).
//
// covers: kernel/io_uring_slots.hpp
#include <asyncio/kernel/io_uring_slots.hpp>

#include <deque>
#include <vector>

#include "fuzz.hpp"

namespace {

using asyncio::kernel::IoUringSlots;
using asyncio::kernel::Opcode;
using asyncio::kernel::Operation;
using Kind = IoUringSlots::Kind;

struct Past {
    std::uint64_t tag;
    const Operation* operation;  // null once it was released
};

class Script {
  public:
    explicit Script(asyncio::fuzz::Input& input) : input_(input) {}
    ~Script() {
        for (Past& past : tags_)
            if (past.operation != nullptr) slots_.release(past.operation->slot);
    }

    void run() {
        while (!input_.empty() && tags_.size() < 500) {
            if (input_.chance())
                acquire();
            else
                release();
            check();
        }
    }

  private:
    void acquire() {
        Operation& operation = operations_.emplace_back(Opcode::poll, nullptr);
        operation.slot = slots_.acquire(operation);
        FUZZ_CHECK(&slots_.of(operation) == &slots_[operation.slot]);
        const auto kind = static_cast<Kind>(input_.below(11));
        const std::uint64_t tag =
            IoUringSlots::tag(kind, operation.slot, slots_[operation.slot].generation);
        FUZZ_CHECK(IoUringSlots::kind_of(tag) == kind);
        FUZZ_CHECK(IoUringSlots::same_slot(tag, IoUringSlots::with_kind(tag, Kind::cancel)));
        for (const Past& past : tags_) FUZZ_CHECK(!IoUringSlots::same_slot(past.tag, tag));
        tags_.push_back({tag, &operation});
    }
    void release() {
        if (tags_.empty()) return;
        Past& past = tags_[input_.number(2) % tags_.size()];
        if (past.operation == nullptr) return;
        slots_.release(past.operation->slot);
        past.operation = nullptr;
    }
    void check() {
        std::size_t present = 0;
        for (const Past& past : tags_) {
            FUZZ_CHECK(past.operation == nullptr || slots_.find(past.tag) == past.operation);
            if (past.operation == nullptr) {
                // Nobody, or, as tags of free slots do not arrive before they are used again, the
                // rest of a free slot; never a present one.
                const Operation* found = slots_.find(past.tag);
                bool is_present = false;
                for (const Past& other : tags_)
                    is_present =
                        is_present || (other.operation != nullptr && other.operation == found);
                FUZZ_CHECK(!is_present);
            } else {
                ++present;
            }
        }
        std::size_t visited = 0;
        slots_.for_each_operation([&](Operation&) { ++visited; });
        FUZZ_CHECK(visited == present);
    }

    asyncio::fuzz::Input& input_;
    IoUringSlots slots_;
    std::deque<Operation> operations_;
    std::vector<Past> tags_;
};

}  // namespace

FUZZ_TARGET(uring_slots) {
    Script script(input);
    script.run();
}
