// SPDX-License-Identifier: MIT
//
// FaultyRing: what stands where io_uring_enter is, and lets one operation of a program fail, do a
// part, or be answered at another time or in another order than usual (ring_fault.hpp). It does
// only what the system itself may do, except `stale`, which no system should.
//
// Threads: the one of the ring. One at a time in a process; see FaultyRing::enter.
#pragma once

#include <asyncio/base/time.hpp>

#include <cstdint>
#include <random>
#include <unordered_map>
#include <vector>

#include <liburing.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ring_fault.hpp"

namespace asyncio::proof {

class FaultyRing {
  public:
    /// What IoUringOptions::enter should be. Uses current().
    static int enter(io_uring& ring, unsigned submit, unsigned wait_for, unsigned flags,
                     const void* argument, std::size_t size);
    static FaultyRing& current() noexcept;

    /// A ring has been made that has nothing to do with earlier ones.
    void begin_ring() noexcept;

    /// Write down what could be faulted.
    void record() noexcept;
    /// From now on put `fault`, once. `interrupt` is called where the program shall be cancelled.
    void arm(const RingFault& fault, void (*interrupt)()) noexcept;
    /// Everything is as usual.
    void disarm() noexcept;

    bool hit() const noexcept { return hit_; }
    const std::vector<RingSite>& sites() const noexcept { return sites_; }

  private:
    enum class Mode : std::uint8_t { passive, recording, armed };
    struct Flying {
        int opcode = 0;
        bool ended = false;
    };
    struct Call {
        unsigned submit;
        unsigned wait_for;
        unsigned flags;
        const void* argument;
        std::size_t size;
    };
    using Completions = std::vector<io_uring_cqe>;

    int enter(io_uring& ring, Call call);
    static int call_system(const io_uring& ring, const Call& call) noexcept;
    int call_patiently(const io_uring& ring, Call call);
    bool refuses(Call& call) noexcept;

    // Records.
    void look_at_records(io_uring& ring);
    void look_at(io_uring_sqe& record);
    void look_at_cancel(io_uring_sqe& record) noexcept;
    void answer_with(const io_uring_sqe& record, int result) noexcept;
    void change(io_uring_sqe& record);
    static void do_nothing(io_uring_sqe& record) noexcept;
    void cut(io_uring_sqe& record);

    // Completions.
    void look_at_completions(io_uring& ring);
    void look_at(io_uring& ring, io_uring_cqe& completion);
    void begin(io_uring& ring, const io_uring_cqe& completion);
    void arrange(Completions& fresh);
    void shuffle(Completions& fresh);
    void add_stale(const Completions& unread, Completions& fresh);

    Mode mode_ = Mode::passive;
    RingFault fault_;
    void (*interrupt_)() = nullptr;
    bool hit_ = false;
    std::vector<RingSite> sites_;

    // Of this ring.
    unsigned seen_records_ = 0;
    unsigned seen_completions_ = 0;
    std::unordered_map<std::uint64_t, Flying> flying_;  // by tag
    int records_[RingOpcode::count] = {};
    int completions_[RingOpcode::count] = {};

    // The operation that the fault is for, when `has_target_`.
    bool has_target_ = false;
    std::uint64_t target_ = 0;
    bool answers_ = false;  // the next answer to `answered_` is `answer_`
    std::uint64_t answered_ = 0;
    int answer_ = 0;
    bool keeps_ = false;  // its completions are kept
    bool release_ = false;
    bool target_cancelled_ = false;
    bool breaking_ = false;
    bool stale_waits_ = false;
    Completions kept_;
    TimePoint kept_since_;
    std::minstd_rand random_{1};
    // A part of what a record pointed to.
    msghdr message_ = {};
    std::vector<iovec> pieces_;
};

}  // namespace asyncio::proof
