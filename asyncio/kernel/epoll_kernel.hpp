// SPDX-License-Identifier: MIT
//
// EpollKernel: the completion interface made of readiness.
//
// Every descriptor is registered once, edge-triggered for both directions (one that only receives
// datagrams for input), and the table beside it remembers what the edges said: `readable` and
// `ended` stay set until a call found nothing left.
//   receive   one recv per descriptor and wait() into a scratch buffer all share (fairness; idle
//             connections cost no buffer). A short one means that the socket is empty: the next
//             byte brings an edge. That does not hold once the peer ended the stream, since end of
//             stream and last bytes may share an edge, so then it is read until it says so. Nor
//             where a unix peer passed descriptors: the system ends a receive behind the bytes they
//             came with, and the call that unix sockets are given tells.
//   receive_from  one recvmmsg per descriptor and wait()
//   accept    up to accept_burst connections per wait()
//   send      tried at once in submit(), which then finishes inline; else when an edge says so
//   connect   begun in submit(); an edge makes us ask connect() again, which answers with the
//             outcome, or EALREADY for an edge that meant something else
//   poll      (re-)registering reports what is ready now as a fresh edge; that is the level. Always
//             (re-)registered: the owner may have closed the descriptor behind our back.
//             epoll refuses regular files (EPERM): those are always ready.
// Pipes and terminals (receive, send): the same with read and write, except that a short read says
// nothing (a terminal gives one line at a time); and /dev/null, which epoll refuses, is always
// readable.
// Those whose readable state outlived a wait() hang in ready_; those that are finished without a
// system call (cancelled) in finished_inputs_ and finished_outputs_. An operation is in one of
// these lists or in none.
//
// Stale events (catalogue D13): an event carries descriptor and generation; close() changes the
// generation. epoll forgets a descriptor only when the last copy of it is closed, so close() also
// deregisters.
//
// Threads: one at a time; wake() from any.
#pragma once

#include <asyncio/kernel/datagram.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/kernel/wake_channel.hpp>
#include <asyncio/os/fd.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

struct epoll_event;

namespace asyncio::kernel {

class EpollKernel final : public Kernel {
  public:
    static constexpr std::size_t scratch_size = 256 * 1024;
    /// What one wait() receives at most (and one message more): the readers take it while it is in
    /// the cache, and their buffers are used again, instead of one filling for every connection.
    static constexpr std::size_t received_per_wait = 256 * 1024;
    static constexpr int accept_burst = 64;  // connections of one listener in one wait()

    EpollKernel();
    ~EpollKernel() override;

    std::string_view name() const noexcept override { return "epoll"; }
    void attach_to_thread() override;
    bool submit(Operation& operation) noexcept override;
    void cancel(Operation& operation) noexcept override;
    void reclaim(Operation& operation) noexcept override;
    void close(int fd) noexcept override;
    bool may_have_events() const noexcept override;
    void wait(std::optional<Duration> timeout) override;
    void wake() noexcept override { wake_.wake(); }
    std::size_t in_flight() const noexcept override { return in_flight_; }

  private:
    using List = IntrusiveList<Operation>;

    struct Entry {
        Operation* input = nullptr;
        Operation* output = nullptr;
        std::uint32_t generation = 0;
        bool registered : 1 = false;
        bool input_only : 1 = false;  // registered without EPOLLOUT
        bool readable = false;
        bool is_unix = false;
        bool ended = false;  // the peer ended its side, or an error is pending
    };

    // What an attempt says: `again` means that nothing came of it.
    static constexpr int again = -11;                             // -EAGAIN
    static constexpr std::uint64_t wake_tag = ~std::uint64_t{0};  // as a descriptor: -1

    bool forked() const noexcept;
    Entry* entry_of(int fd) noexcept;  // null when out of memory
    Operation*& side(Operation& operation) noexcept;
    int watch(const Operation& operation, Entry& entry) noexcept;
    int control(int first, int fd, std::uint32_t generation, std::uint32_t events) noexcept;
    bool finish_inline(Operation& operation, int result) noexcept;
    bool put_in_flight(Operation& operation) noexcept;
    static std::ptrdiff_t try_send(const Operation& operation) noexcept;
    static int begin_connect(const Operation& operation) noexcept;
    static std::ptrdiff_t try_receive(const Operation& operation, const Entry& entry,
                                      std::span<std::byte> buffer, bool& more) noexcept;
    bool submit_poll(Operation& operation) noexcept;
    void finish_later(Operation& operation, int result) noexcept;
    void finish(Operation& operation, int result);
    void detach(Operation& operation) noexcept;
    bool owns_input(int fd, const Operation& operation) const noexcept;

    void dispatch(std::span<const epoll_event> events);
    void finish_all(List& list);
    void retry_ready();
    void on_event(const epoll_event& event);
    void on_input(Entry& entry, std::uint32_t events);
    void on_rare_input(Entry& entry, std::uint32_t events);
    void on_output(int fd, std::uint32_t events);
    void try_input(Operation& operation);
    void receive(Operation& operation, Entry& entry);
    void receiving_ended(Operation& operation, Entry& entry, int result);
    void receive_datagrams(Operation& operation);
    void accept(Operation& operation);
    int collect(std::optional<Duration> timeout, epoll_event* events);

    const std::uint32_t fork_generation_;
    os::Fd epoll_;
    WakeChannel wake_;
    bool has_pwait2_ = true;
    std::size_t in_flight_ = 0;
    std::vector<Entry> entries_;  // by descriptor
    List ready_;
    List finished_inputs_;
    List finished_outputs_;
    std::unique_ptr<std::byte[]> scratch_;
    std::size_t received_ = 0;  // in this wait()
    std::unique_ptr<DatagramBatch> batch_;
    Operation* in_batch_ = nullptr;  // whose datagrams are being delivered, while it is in flight
};

}  // namespace asyncio::kernel
