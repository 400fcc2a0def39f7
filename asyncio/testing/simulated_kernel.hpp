// SPDX-License-Identifier: MIT
//
// SimulatedKernel: the third backend: the completion interface of one simulated host. Time is the
// world's (agenda.hpp), descriptors are its host's (network.hpp), and where the rules of the
// interface leave something open, the seed decides:
//   - in which order descriptors complete within one wait() (K6 binds only those of one
//   descriptor);
//   - whether a completion comes with this wait() or a later one (late_completion);
//   - whether a send finishes inline or is queued (K1; queued_send);
//   - whether a cancelled operation still has its result (K3; late_cancel): an accept a connection,
//   a
//     receive data, before the last completion says -ECANCELED.
// How the real ones differ (epoll: inline and never late; io_uring: queued, and late) is in there.
//
// wait() with time left lets the world go on until something completes here; so a kernel serves
// alone, as the others do, for tests of its own. In a simulation the loop never waits: the
// simulation chooses who runs, and when time passes.
//
// A call on a file takes the time that the disk wants for it (disk.hpp), and has its effect at the
// beginning of that or at its end. So some calls that were cancelled have happened.
//
// Threads: one; wake() from any.
#pragma once

#include <asyncio/kernel/kernel.hpp>
#include <asyncio/testing/network.hpp>

#include <atomic>
#include <memory>
#include <vector>

namespace asyncio::testing {

class SimulatedKernel final : public kernel::Kernel {
  public:
    static constexpr std::size_t kScratch = 64 * 1024;  // bytes that one completion brings at most
    static constexpr int kAcceptBurst = 16;

    SimulatedKernel(Network& network, NetworkHost& host);
    ~SimulatedKernel() override;

    std::string_view name() const noexcept override { return "simulated"; }
    TimePoint now() noexcept override { return network_.agenda().now(); }
    Duration timer_grid() const noexcept override { return Duration(1); }
    void attach_to_thread() override {}
    bool submit(kernel::Operation& operation) noexcept override;
    void cancel(kernel::Operation& operation) noexcept override;
    void reclaim(kernel::Operation& operation) noexcept override;
    void close(int fd) noexcept override;
    bool may_have_events() const noexcept override;
    void wait(std::optional<Duration> timeout) override;
    void wake() noexcept override { woken_.store(true); }
    std::size_t in_flight() const noexcept override { return in_flight_; }

  private:
    using Operation = kernel::Operation;

    /// What is in flight on a descriptor, in the order of descriptors.
    struct Entry {
        Operation* input = nullptr;
        Operation* output = nullptr;
    };
    static constexpr int kNothing = -11;  // -EAGAIN

    Entry* entry_of(int fd) noexcept;
    struct FileOperation {
        Operation* operation;
        TimePoint due;
        std::optional<int> result;  // the disk has answered
    };

    Operation*& side(Operation& operation) noexcept;
    bool finish_inline(Operation& operation, int result) noexcept;
    void detach(Operation& operation) noexcept;
    bool submit_file(Operation& operation) noexcept;
    void dispose_of(const Operation& operation) noexcept;
    bool deliver_files();
    bool attend_file(Operation& operation);
    bool deliver();
    bool attend(int fd, bool input);
    bool attempt(Operation& operation);
    bool receive(Operation& operation);
    bool receive_datagram(Operation& operation);
    bool accept(Operation& operation);
    int result_of(Operation& operation) noexcept;
    void finish(Operation& operation, int result);
    void tell(Operation& operation, const kernel::Completion& completion);
    bool is_in_flight(int fd, const Operation& operation) noexcept;

    Network& network_;
    NetworkHost& host_;
    std::vector<Entry> entries_;  // by descriptor
    std::vector<FileOperation> files_;
    std::size_t in_flight_ = 0;
    std::uint64_t seen_changes_ = 0;  // of the host
    bool asked_ = false;              // something was submitted or cancelled, or put off
    std::atomic<bool> woken_{false};
    std::unique_ptr<std::byte[]> scratch_;
};

}  // namespace asyncio::testing
