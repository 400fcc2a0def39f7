// SPDX-License-Identifier: MIT
#include "scenarios_ring.hpp"

#include <asyncio/kernel/io_uring_options.hpp>
#include <asyncio/kernel/kernel.hpp>

#include <array>
#include <cerrno>
#include <memory>

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace asyncio::proof {
namespace {

using kernel::Opcode;
using os::Fd;

/// One operation, which its coroutine waits for and which is taken back with it.
class Request : private kernel::Operation {
  public:
    Request(Opcode code, int descriptor) : Operation(code, &note) {
        fd = descriptor;
        events = POLLIN;
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    ~Request() { loop_.kernel().reclaim(*this); }

    void set_parts(std::span<const iovec> parts) {
        buffers = parts.data();
        count = static_cast<std::uint32_t>(parts.size());
    }
    void start() {
        end_ = loop_.create_future<int>();
        if (!loop_.kernel().submit(*this)) end_.set_result(inline_result);
    }
    void cancel() { loop_.kernel().cancel(*this); }
    /// Its last result.
    Future<int> end() const { return end_; }
    const std::string& received() const { return received_; }

  private:
    static void note(kernel::Operation& operation, const kernel::Completion& completion) {
        auto& self = static_cast<Request&>(operation);
        self.received_.append(reinterpret_cast<const char*>(completion.data.data()),
                              completion.data.size());
        if (!completion.more) self.end_.set_result(completion.result);
    }

    EventLoop& loop_ = get_running_loop();
    Future<int> end_;
    std::string received_;
};

struct Ends {
    Fd near;
    Fd far;
};

Ends pair() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        throw std::system_error(errno, std::generic_category(), "make a pair of sockets");
    return {Fd(ends[0]), Fd(ends[1])};
}

int check(int result, const char* what) {
    if (result < 0) throw std::system_error(-result, std::generic_category(), what);
    return result;
}

/// Nothing is lost or doubled, however much of it a send takes.
Coro<> gathered_sends() {
    std::string all;
    for (int i = 0; i < 30'000; i++) all += std::to_string(i) + ' ';
    const Ends ends = pair();
    Request receive(Opcode::receive, ends.far.get());
    receive.start();
    for (std::size_t done = 0; done < all.size();) {
        std::array<iovec, 4> parts;
        std::size_t from = done;
        for (iovec& part : parts) {
            part = {all.data() + from, std::min<std::size_t>(7'777, all.size() - from)};
            from += part.iov_len;
        }
        Request send(Opcode::send, ends.near.get());
        send.set_parts(parts);
        send.start();
        const int sent = co_await send.end();
        done += static_cast<std::size_t>(check(sent, "send"));
    }
    ::shutdown(ends.near.get(), SHUT_WR);
    const int end = co_await receive.end();
    check(end, "receive");
    expect(receive.received() == all, "all arrives, once and in order");
}

/// What is cancelled ends so, what is taken back is gone, and others notice nothing.
Coro<> cancels_and_reclaims() {
    for (int round = 0; round < 3; round++) {
        const Ends quiet = pair();
        const Ends busy = pair();
        Request other(Opcode::receive, busy.far.get());
        other.start();
        Request receive(Opcode::receive, quiet.near.get());
        Request poll(Opcode::poll, quiet.far.get());
        receive.start();
        poll.start();
        {
            Request never(Opcode::receive, quiet.far.get());
            never.start();
            if (round != 0) co_await sleep(Duration::zero());
            if (round == 2) never.cancel();
            expect(::write(busy.near.get(), "x", 1) == 1, "the pair takes a byte");
        }
        receive.cancel();
        poll.cancel();
        const int received = co_await receive.end();
        const int polled = co_await poll.end();
        if (received != -ECANCELED) check(received, "receive");
        if (polled != -ECANCELED) check(polled, "poll");  // readiness may be a false alarm
        expect(received == -ECANCELED, "a receive without data ends cancelled");
        ::shutdown(busy.near.get(), SHUT_WR);
        const int end = co_await other.end();
        check(end, "receive");
        expect(other.received() == "x", "the other one has its byte");
    }
}

struct Poll : kernel::Operation {
    explicit Poll(int descriptor) : Operation(Opcode::poll, &note) {
        fd = descriptor;
        events = POLLIN;
    }
    static void note(kernel::Operation& operation, const kernel::Completion&) {
        static_cast<Poll&>(operation).told++;
    }
    int told = 0;
};

/// Many more completions than the ring holds, while operations are taken back.
void reclaims_in_an_overflow(const Environment&) {
    const Ends ends = pair();
    std::vector<std::unique_ptr<Poll>> polls;
    const auto kernel =
        kernel::make_io_uring_kernel({.submission_entries = 8, .completion_entries = 8});
    for (int i = 0; i < 300; i++) {
        polls.push_back(std::make_unique<Poll>(ends.near.get()));
        if (!kernel->submit(*polls.back())) throw std::bad_alloc();
    }
    kernel->wait(Duration::zero());
    if (::write(ends.far.get(), "x", 1) != 1)
        throw std::system_error(errno, std::generic_category(), "write to the socket");
    for (std::size_t i = 0; i < polls.size(); i += 2) kernel->reclaim(*polls[i]);
    while (kernel->in_flight() != 0) kernel->wait(std::chrono::seconds(1));
    for (std::size_t i = 0; i < polls.size(); i++)
        expect(polls[i]->told == static_cast<int>(i % 2), "who was not taken back is told once");
}

}  // namespace

std::span<const Scenario> ring_scenarios() {
    static constexpr Scenario list[] = {
        {"gathered_sends", on_loop<gathered_sends>},
        {"cancels_and_reclaims", on_loop<cancels_and_reclaims>},
        {"reclaims_in_an_overflow", reclaims_in_an_overflow, false, true},
    };
    return list;
}

}  // namespace asyncio::proof
