// SPDX-License-Identifier: MIT
//
// IoUringKernel: the completion interface on io_uring. submit() and cancel() only write records;
// wait() hands all of them over, waits and collects, in one system call, or in none when there is
// nothing to hand over and completions are in memory already.
//
// accept and receive are one multishot record each. The system ends one for reasons of its own
// (no receive buffer left, no room for completions): it is begun anew and nobody notices. Where
// the system has no multishot, an operation goes `by_readiness`: a poll record,
// and when that fires the plain call (accept4, recv into a scratch buffer). The poll is begun anew
// before the callback runs, so at every callback the operation's state is whole. What is no socket
// always goes so: the system would raise SIGPIPE in the thread that collects completions.
//
// What may be where, besides in the system:
//   backlog_     operations that found the queue full (or the ring not yet enabled)
//   cancels_     operations whose cancel record found it full
//   finished_*   operations that have their result without the system: cancelled in the backlog,
//                or cancelled just when their multishot had ended by itself
//   deferred_    completions that reclaim() had to take out of a full ring to find its own
//   outputs_     completions of the current wait() that come after the inputs (K6)
//
// A completion that belongs to nobody is disposed of: accepted descriptor closed, buffer lent
// again. A cancel record that found nothing although the operation has not ended is written again.
//
// Nothing here allocates after the first tenants of the slots. deferred_ grows with them, because
// reclaim() may not throw: it has room for a full ring, for what each operation can still be told
// (its end, and that its cancel failed) and for each receive buffer. Only connections that come
// while an operation takes long to end could be more; without memory for them they stay in the
// ring, and reclaim() waits for memory or for that end.
//
// Threads: the attached one; wake() from any.
#pragma once

#include <asyncio/kernel/datagram.hpp>
#include <asyncio/kernel/io_uring_buffers.hpp>
#include <asyncio/kernel/io_uring_options.hpp>
#include <asyncio/kernel/io_uring_ring.hpp>
#include <asyncio/kernel/io_uring_slots.hpp>
#include <asyncio/kernel/io_uring_small_files.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/kernel/wake_channel.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <pthread.h>

struct msghdr;

namespace asyncio::kernel {

class IoUringKernel final : public Kernel {
  public:
    static constexpr std::size_t scratch_size = 256 * 1024;
    static constexpr int accept_burst =
        64;  // by readiness: connections of one listener in a wait()

    explicit IoUringKernel(const IoUringOptions& options);
    ~IoUringKernel() override;

    std::string_view name() const noexcept override { return "io_uring"; }
    void attach_to_thread() override;
    bool submit(Operation& operation) noexcept override;
    void cancel(Operation& operation) noexcept override;
    void reclaim(Operation& operation) noexcept override;
    std::vector<int> reclaim_accept(Operation& operation) noexcept override;
    void close(int fd) noexcept override;
    bool may_have_events() const noexcept override;
    void wait(std::optional<Duration> timeout) override;
    void wake() noexcept override { wake_.wake(); }
    std::size_t in_flight() const noexcept override { return in_flight_; }

    /// Receive buffers taking part; for tests.
    unsigned buffers_lent() const noexcept { return buffers_ ? buffers_->lent() : 0; }

  private:
    static constexpr unsigned most_datagram_buffers = 64;

    using List = IntrusiveList<Operation>;
    using Completion_ = IoUringRing::Completion;
    using Kind = IoUringSlots::Kind;
    using Place = IoUringSlots::Place;

    // Ring and buffers, thread, fork.
    void make_ring();
    void rebuild();
    bool forked() const noexcept;
    bool on_owner_thread() const noexcept { return owner_ == ::pthread_self(); }
    void abandon() noexcept;
    void drain() noexcept;
    void drain_operations() noexcept;

    // Records.
    void grow_slots();
    std::uint64_t tag_of(const Operation& operation) noexcept;
    static std::uint64_t tag_of(const Operation& operation,
                                const IoUringSlots::Slot& slot) noexcept;
    bool knows(const os::FileCall& call) const noexcept;
    void start(Operation& operation) noexcept;
    void prepare(io_uring_sqe& record, const Operation& operation, Kind kind) noexcept;
    static bool writes_later(Operation& operation) noexcept;
    bool has_datagram_buffers() noexcept;
    bool has_small_files() noexcept;
    void start_small_file(Operation& operation) noexcept;
    void prepare_send(io_uring_sqe& record, const Operation& operation) noexcept;
    bool write_cancel(std::uint64_t tag) noexcept;
    void arm_wake() noexcept;
    void fill_from_backlog() noexcept;
    bool has_leftovers() const noexcept { return small_files_ && small_files_->has_leftovers(); }
    bool has_backlog() const noexcept {
        return !backlog_.empty() || !cancels_.empty() || has_leftovers();
    }

    // Waiting.
    bool has_completions() const noexcept;
    void hand_over(std::optional<Duration> timeout);
    bool enter(unsigned wait_for, std::optional<Duration> timeout);
    bool next_completion(Completion_& completion) noexcept;
    bool next_deferred(Completion_& completion) noexcept;
    void dispatch();
    std::size_t deliver_deferred(std::size_t limit);
    void finish_all(List& list);

    // Completions.
    void on_completion(const Completion_& completion);
    void on_rarer_completion(const Completion_& completion);
    void on_failed_cancel(const Completion_& completion) noexcept;
    void deliver(const Completion_& completion);
    void on_accept(Operation& operation, const Completion_& completion);
    void on_receive(Operation& operation, const Completion_& completion);
    void on_datagram(Operation& operation, const Completion_& completion);
    void on_receive_end(Operation& operation, const Completion_& completion,
                        IoUringBuffers& buffers);
    void on_receive_error(Operation& operation, int error, IoUringBuffers& buffers);
    void on_failure(Operation& operation, int error);
    void on_ready(Operation& operation, const Completion_& completion);
    void receive_now(Operation& operation);
    void receive_datagrams_now(Operation& operation);
    void accept_now(Operation& operation);
    void send_now(Operation& operation);
    bool note_small_file(const Completion_& completion) noexcept;
    void on_small_file(Operation& operation);
    void begin_anew(Operation& operation) noexcept;
    void fall_back_to_readiness(Operation& operation) noexcept;
    void finish(Operation& operation, int result);
    void finish_later(Operation& operation, int result) noexcept;
    void forget(Operation& operation) noexcept;

    // Taking back.
    void dispose(const Completion_& completion) noexcept;
    bool keep_accepted(int fd) noexcept;
    void close_all_the_same(std::uint64_t tag) noexcept;
    bool strike_out(Completion_& completion, std::uint64_t tag) noexcept;
    bool strike_out_small_file(Completion_& completion, std::uint64_t tag) noexcept;
    bool find_and_dispose(std::uint64_t tag) noexcept;
    bool found_nothing(std::uint64_t cancel_tag) noexcept;
    bool defer_all() noexcept;
    void wait_for_end(std::uint64_t tag, bool may_cancel) noexcept;
    void settle(const Completion_& completion) noexcept;
    void ask_again() noexcept;

    const IoUringOptions options_;
    const std::uint32_t fork_generation_;
    WakeChannel wake_;
    std::unique_ptr<IoUringBuffers> buffers_;  // outlive ring_
    std::unique_ptr<IoUringBuffers> datagram_buffers_;
    std::unique_ptr<IoUringRing> ring_;
    std::unique_ptr<IoUringSmallFiles> small_files_;  // not valid(): it was tried
    std::unique_ptr<msghdr[]> messages_;              // by record
    std::unique_ptr<std::byte[]> scratch_;
    std::unique_ptr<DatagramBatch> batch_;
    pthread_t owner_ = {};  // of the enabled ring
    bool wake_armed_ = false;
    std::size_t in_flight_ = 0;
    std::vector<int>* accepted_ = nullptr;  // where reclaim_accept() wants what it finds
    IoUringSlots slots_;
    List backlog_;
    List cancels_;
    List finished_inputs_;
    List finished_outputs_;
    std::vector<Completion_> deferred_;
    std::size_t next_deferred_ = 0;
    std::unique_ptr<Completion_[]> outputs_;  // as many as the ring holds
    std::size_t output_count_ = 0;
};

}  // namespace asyncio::kernel
