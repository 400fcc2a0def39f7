// SPDX-License-Identifier: MIT
//
// FaultyRing: what stands where io_uring_enter is, and lets one operation of a program fail, do a
// part, or be answered at another time or in another order than usual. It does only what the
// system itself may do, except `stale`, which no system should.
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
//
// Threads: the one of the ring. One at a time in a process; see FaultyRing::enter.
#pragma once

#include <asyncio/base/time.hpp>

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <liburing.h>
#include <sys/socket.h>
#include <sys/uio.h>

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
    static constexpr int ftruncate = 55;  // not yet in Debian 12's liburing
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

/// SEND, wake, enter, ...
std::string name_of_opcode(int opcode);
/// fails, late, ...
std::string_view name_of(Manner manner);
/// ECONNRESET, 1-bytes, late, stale-ECANCELED, ...
std::string name_of(const RingFault& fault);

}  // namespace asyncio::proof
