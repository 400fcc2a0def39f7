// SPDX-License-Identifier: MIT
//
// io_uring under faults: an io_uring_enter that fails at every call, rings too small for anything,
// completions that nobody expects.
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_kernel.hpp>
#include <asyncio/kernel/kernel_fixture_test.hpp>
#include <asyncio/os/file_call.hpp>

#include <memory>
#include <random>

#include <fcntl.h>
#include <sys/syscall.h>

namespace asyncio::kernel::testing {
namespace {

int enter_calls = 0;
int fail_with = 0;       // an errno
int fail_percent = 0;    // so many calls fail, before the system sees them
int submit_at_most = 0;  // the system takes but so many records of a call

/// The next record of `opcode` is not carried out, and answered so.
struct Instead {
    int opcode = -1;
    int answer = 0;
    std::uint64_t tag = 0;
    bool waits = false;  // for its answer
} instead;

void replace_a_record(io_uring& ring) {
    for (unsigned i = *ring.sq.khead; i != ring.sq.sqe_tail && instead.opcode >= 0; i++) {
        io_uring_sqe& record = ring.sq.sqes[i & ring.sq.ring_mask];
        if (record.opcode != instead.opcode) continue;
        instead.opcode = -1;
        instead.waits = true;
        instead.tag = record.user_data;
        ::io_uring_prep_nop(&record);
        record.flags = 0;
        record.user_data = instead.tag;
    }
}

void answer_instead(io_uring& ring) {
    for (unsigned i = *ring.cq.khead; i != *ring.cq.ktail && instead.waits; i++) {
        io_uring_cqe& completion = ring.cq.cqes[i & ring.cq.ring_mask];
        if (completion.user_data != instead.tag) continue;
        completion.res = instead.answer;
        instead.waits = false;
    }
}

int faulty_enter(io_uring& ring, unsigned submit, unsigned wait_for, unsigned flags,
                 const void* argument, std::size_t size) {
    enter_calls++;
    static std::minstd_rand random(1);
    if (static_cast<int>(random() % 100) < fail_percent) return -fail_with;
    if (submit_at_most != 0 && submit > static_cast<unsigned>(submit_at_most)) {
        submit = static_cast<unsigned>(submit_at_most);
        wait_for = 0;  // as the system does when it could not take all
    }
    replace_a_record(ring);
    const long result =
        ::syscall(__NR_io_uring_enter, ring.ring_fd, submit, wait_for, flags, argument, size);
    answer_instead(ring);
    return result < 0 ? -errno : static_cast<int>(result);
}

class IoUring : public ::testing::Test {
  protected:
    void SetUp() override {
        if (epoll_was_chosen()) GTEST_SKIP() << "epoll was chosen";
        enter_calls = fail_with = fail_percent = submit_at_most = 0;
        instead = {};
        descriptors_before = open_descriptors();
    }
    void TearDown() override {
        if (!IsSkipped()) {
            EXPECT_EQ(open_descriptors(), descriptors_before);
        }
    }

    std::unique_ptr<IoUringKernel> make_faulty(IoUringOptions options = {}) {
        options.enter = &faulty_enter;
        auto kernel = std::make_unique<IoUringKernel>(options);
        kernel->attach_to_thread();
        return kernel;
    }

    /// Connections, bytes both ways, cancels and reclaims; everything is told exactly once.
    void exercise(asyncio::kernel::Kernel& kernel) {
        SocketAddress address = abstract("faults");
        const Fd listening = listener(address);
        TestOperation accept(Opcode::accept, listening.get());
        ASSERT_TRUE(kernel.submit(accept));
        std::vector<Fd> clients;
        for (int i = 0; i < 20; i++) {
            clients.emplace_back(os::stream_socket(AF_UNIX));
            TestOperation connect(Opcode::connect, clients.back().get());
            connect.set_address(address);
            ASSERT_TRUE(kernel.submit(connect));
            ASSERT_TRUE(pump(kernel, [&] { return connect.ended(); }));
            ASSERT_EQ(connect.last(), 0);
        }
        ASSERT_TRUE(pump(kernel, [&] { return accept.results.size() == 20; }));
        for (int i = 0; i < 20; i++) echo_once(kernel, accept.results[i], clients[i].get(), i);
        for (const int fd : accept.results) kernel.close(fd);
        kernel.reclaim(accept);
        EXPECT_EQ(kernel.in_flight(), 0u);
    }

    int descriptors_before = 0;

  private:
    void echo_once(asyncio::kernel::Kernel& kernel, int server, int client, int i) {
        TestOperation receive(Opcode::receive, server);
        TestOperation send(Opcode::send, client);
        const std::string text = "message " + std::to_string(i);
        send.set_buffer(text.data(), text.size());
        ASSERT_TRUE(kernel.submit(receive));
        ASSERT_TRUE(kernel.submit(send));
        ASSERT_TRUE(
            pump(kernel, [&] { return send.ended() && receive.data.size() == text.size(); }));
        EXPECT_EQ(receive.data, text);
        if (i % 2 == 0) return kernel.reclaim(receive);
        kernel.cancel(receive);
        ASSERT_TRUE(pump(kernel, [&] { return receive.ended(); }));
        EXPECT_EQ(receive.last(), -ECANCELED);
    }
};

TEST_F(IoUring, A5_an_enter_that_fails_loses_nothing) {
    for (const int error : {EINTR, EAGAIN, EBUSY}) {
        for (const int percent : {20, 50, 80}) {
            fail_percent = 0;
            const auto kernel = make_faulty();
            fail_with = error;
            fail_percent = percent;
            exercise(*kernel);
        }
    }
}

TEST_F(IoUring, A5_an_enter_that_takes_a_part_is_continued) {
    const auto kernel = make_faulty();
    submit_at_most = 1;
    exercise(*kernel);
}

TEST_F(IoUring, A5_other_failures_are_thrown_and_operations_stay_ours) {
    const auto kernel = make_faulty();
    const Pair pair = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    fail_with = EFAULT;
    fail_percent = 100;
    EXPECT_THROW(kernel->wait(Duration::zero()), std::system_error);
    fail_percent = 0;
    ASSERT_TRUE(write_all(pair.b.get(), "x"));
    ASSERT_TRUE(pump(*kernel, [&] { return receive.data == "x"; }));
    kernel->reclaim(receive);
}

/// Makes what `operation` asks, although the system first answers its record with an error.
void expect_made_in_spite_of(int error, int opcode, TestOperation& operation,
                             asyncio::kernel::Kernel& kernel) {
    instead = {.opcode = opcode, .answer = -error};
    ASSERT_TRUE(kernel.submit(operation));
    ASSERT_TRUE(pump(kernel, [&] { return !operation.results.empty(); }));
    EXPECT_EQ(instead.opcode, -1) << "no record of " << opcode;
    EXPECT_GT(operation.results[0], 0) << "opcode " << opcode << " answered " << error;
}

/// Four bytes of /dev/zero.
struct ZerosRead {
    Fd fd{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
    char memory[4] = {};
    os::FileCall call{.kind = os::FileCall::Kind::read,
                      .fd = fd.get(),
                      .memory = memory,
                      .size = sizeof memory,
                      .offset = 0};
};

TEST_F(IoUring, C4_what_was_interrupted_is_made_again) {
    const auto kernel = make_faulty();
    const Pair pair = unix_pair();
    iovec parts[] = {{const_cast<char*>("to"), 2}, {const_cast<char*>("gether"), 6}};
    for (const int error : {EINTR, EAGAIN}) {
        TestOperation send(Opcode::send, pair.a.get());
        send.set_buffer("whole", 5);
        expect_made_in_spite_of(error, IORING_OP_SEND, send, *kernel);
        TestOperation gathered(Opcode::send, pair.a.get());
        gathered.buffers = parts;
        gathered.count = 2;
        expect_made_in_spite_of(error, IORING_OP_SENDMSG, gathered, *kernel);
        TestOperation receive(Opcode::receive, pair.b.get());
        expect_made_in_spite_of(error, IORING_OP_RECV, receive, *kernel);
        EXPECT_EQ(receive.data, "wholetogether");
        kernel->reclaim(receive);
    }
    ZerosRead zeros;
    TestOperation file(Opcode::file);
    file.file_call = &zeros.call;
    expect_made_in_spite_of(EINTR, IORING_OP_READ, file, *kernel);
}

TEST_F(IoUring, C4_an_interrupted_operation_that_was_cancelled_ends_cancelled) {
    const auto kernel = make_faulty();
    const Pair pair = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    instead = {.opcode = IORING_OP_RECV, .answer = -EINTR};
    kernel->cancel(receive);
    ASSERT_TRUE(pump(*kernel, [&] { return receive.ended(); }));
    EXPECT_EQ(receive.results, std::vector<int>{-ECANCELED});
}

TEST_F(IoUring, C4_what_the_system_gives_up_unasked_is_made_again) {
    const auto kernel = make_faulty();
    const Pair pair = unix_pair();
    TestOperation once(Opcode::poll, pair.a.get());
    once.events = POLLOUT;
    expect_made_in_spite_of(ECANCELED, IORING_OP_POLL_ADD, once, *kernel);

    TestOperation always(Opcode::poll, pair.a.get());
    always.events = POLLOUT;
    ASSERT_TRUE(kernel->submit(always));
    int times = 0;
    const auto ended = [&] {
        if (instead.opcode < 0 && !instead.waits) {
            instead = {.opcode = IORING_OP_POLL_ADD, .answer = -ECANCELED};
            times++;
        }
        return always.ended();
    };
    ASSERT_TRUE(pump(*kernel, ended));
    instead = {};
    EXPECT_GT(times, 30);
    EXPECT_LT(times, 40);
    EXPECT_EQ(always.results, std::vector<int>{-EAGAIN});
}

TEST_F(IoUring, C4_a_server_outlives_any_number_of_give_ups_between_its_clients) {
    const auto kernel = make_faulty();
    SocketAddress address = abstract("given up");
    const Fd listening = listener(address);
    TestOperation accept(Opcode::accept, listening.get());
    ASSERT_TRUE(kernel->submit(accept));
    bool client_next = false;
    const auto served = [&] {
        if (instead.opcode >= 0 || instead.waits) return false;
        const int answer = client_next ? os::stream_socket(AF_UNIX) : -ECANCELED;
        instead = {.opcode = IORING_OP_ACCEPT, .answer = answer};
        client_next = !client_next;
        return accept.results.size() == 300;
    };
    ASSERT_TRUE(pump(*kernel, served));
    for (const int result : accept.results) {
        ASSERT_GE(result, 0);
        kernel->close(result);
    }
    ::close(instead.answer);  // nobody's, or no descriptor
    instead = {};
    kernel->reclaim(accept);
}

TEST_F(IoUring, C4_a_file_call_that_the_system_gives_up_is_its_owners_again) {
    const auto kernel = make_faulty();
    ZerosRead zeros;
    TestOperation file(Opcode::file);
    file.file_call = &zeros.call;
    poll_now(*kernel);  // its wake-up channel is read, too
    instead = {.opcode = IORING_OP_READ, .answer = -ECANCELED};
    ASSERT_TRUE(kernel->submit(file));
    ASSERT_TRUE(pump(*kernel, [&] { return file.ended(); }));
    EXPECT_EQ(file.results, std::vector<int>{-ECANCELED});
}

TEST_F(IoUring, A1_a_close_that_the_system_gives_up_is_made_by_who_takes_it_back) {
    const auto kernel = make_faulty();
    Pair pair = unix_pair();
    TestOperation other(Opcode::receive, pair.b.get());
    ASSERT_TRUE(kernel->submit(other));
    poll_now(*kernel);
    const os::FileCall call{.kind = os::FileCall::Kind::close, .fd = pair.a.release()};
    TestOperation close(Opcode::file);
    close.file_call = &call;
    instead = {.opcode = IORING_OP_CLOSE, .answer = -ECANCELED};
    ASSERT_TRUE(kernel->submit(close));
    kernel->reclaim(other);  // the system answers the close, too, and nobody is told
    ASSERT_FALSE(close.ended());
    ASSERT_EQ(instead.opcode, -1) << "no record of the close";
    kernel->reclaim(close);
    EXPECT_EQ(::fcntl(call.fd, F_GETFD), -1);
}

TEST_F(IoUring, A8_reclaim_asks_again_when_its_cancel_found_nothing) {
    const auto kernel = make_faulty();
    const Pair pair = unix_pair();
    const Pair busy = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    TestOperation other(Opcode::receive, busy.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    ASSERT_TRUE(kernel->submit(other));
    poll_now(*kernel);
    ASSERT_TRUE(write_all(busy.b.get(), "x"));  // in memory while reclaim() waits
    instead = {.opcode = IORING_OP_ASYNC_CANCEL, .answer = -ENOENT};
    kernel->reclaim(receive);
    EXPECT_TRUE(receive.idle());
    ASSERT_TRUE(pump(*kernel, [&] { return other.data == "x"; }));
    kernel->reclaim(other);
}

TEST_F(IoUring, A9_completions_that_overflow_are_not_lost) {
    const auto kernel = make_faulty({.submission_entries = 8, .completion_entries = 8});
    constexpr int count = 2'000;
    std::vector<std::unique_ptr<TestOperation>> polls;
    const Fd always(::dup(0));
    const Pair pair = unix_pair();
    for (int i = 0; i < count; i++) {
        polls.push_back(std::make_unique<TestOperation>(Opcode::poll, pair.a.get()));
        polls.back()->events = POLLIN;
        ASSERT_TRUE(kernel->submit(*polls.back()));
    }
    poll_now(*kernel);
    ASSERT_TRUE(write_all(pair.b.get(), "x"));  // all of them at once
    std::size_t ended = 0;
    ASSERT_TRUE(pump(*kernel, [&] {
        ended = 0;
        for (const auto& poll : polls) ended += poll->ended();
        return ended == count;
    }));
    for (const auto& poll : polls) EXPECT_EQ(poll->results, std::vector<int>{POLLIN});
}

TEST_F(IoUring, A9_reclaim_finds_its_own_behind_an_overflow) {
    const auto kernel = make_faulty({.submission_entries = 8, .completion_entries = 8});
    const Pair pair = unix_pair();
    std::vector<std::unique_ptr<TestOperation>> polls;
    for (int i = 0; i < 100; i++) {
        polls.push_back(std::make_unique<TestOperation>(Opcode::poll, pair.a.get()));
        polls.back()->events = POLLIN;
        ASSERT_TRUE(kernel->submit(*polls.back()));
    }
    poll_now(*kernel);
    ASSERT_TRUE(write_all(pair.b.get(), "x"));
    for (int i = 0; i < 100; i += 2) kernel->reclaim(*polls[i]);
    ASSERT_TRUE(pump(*kernel, [&] { return kernel->in_flight() == 0; }));
    for (int i = 0; i < 100; i++) EXPECT_EQ(polls[i]->finals, i % 2);
}

TEST_F(IoUring, A9_bytes_stay_in_order_when_a_callback_reclaims_in_an_overflow) {
    const auto kernel = make_faulty({.submission_entries = 8, .completion_entries = 8});
    const Pair first = unix_pair();
    const Pair pair = unix_pair();
    const Pair quiet = unix_pair();
    const Pair crowd = unix_pair();
    TestOperation gate(Opcode::receive, first.a.get());
    TestOperation receive(Opcode::receive, pair.a.get());
    TestOperation held(Opcode::receive, quiet.a.get());
    std::vector<std::unique_ptr<TestOperation>> polls;
    for (TestOperation* operation : {&gate, &receive, &held})
        ASSERT_TRUE(kernel->submit(*operation));
    for (int i = 0; i < 9; i++) {
        polls.push_back(std::make_unique<TestOperation>(Opcode::poll, crowd.a.get()));
        polls.back()->events = POLLIN;
        ASSERT_TRUE(kernel->submit(*polls.back()));
    }
    poll_now(*kernel);
    gate.then = [&](const Completion&) {
        // Newer completions, which the system tells while this takes back what it still holds.
        EXPECT_TRUE(write_all(pair.b.get(), "newer"));
        EXPECT_EQ(::shutdown(pair.b.get(), SHUT_WR), 0);
        kernel->reclaim(held);
    };
    ASSERT_TRUE(write_all(first.b.get(), "x"));
    ASSERT_TRUE(write_all(pair.b.get(), "older, "));
    ASSERT_TRUE(write_all(crowd.b.get(), "x"));  // more than the ring holds
    ASSERT_TRUE(pump(*kernel, [&] { return receive.ended() && kernel->in_flight() == 1; }));
    EXPECT_EQ(receive.data, "older, newer");
    EXPECT_EQ(receive.last(), 0);
    for (const auto& poll : polls) EXPECT_EQ(poll->results, std::vector<int>{POLLIN});
    kernel->reclaim(gate);
}

TEST_F(IoUring, A10_a_full_queue_delays_and_loses_nothing) {
    const auto kernel = make_faulty({.submission_entries = 1, .completion_entries = 2});
    exercise(*kernel);
    std::vector<Pair> pairs;
    std::vector<std::unique_ptr<TestOperation>> operations;
    for (int i = 0; i < 200; i++) {
        pairs.push_back(unix_pair());
        operations.push_back(std::make_unique<TestOperation>(Opcode::receive, pairs[i].a.get()));
        ASSERT_TRUE(kernel->submit(*operations[i]));
    }
    for (int i = 0; i < 200; i += 4) kernel->cancel(*operations[i]);
    for (int i = 1; i < 200; i += 4) kernel->reclaim(*operations[i]);
    for (int i = 2; i < 200; i += 2) ASSERT_TRUE(write_all(pairs[i].b.get(), "x"));
    ASSERT_TRUE(pump(*kernel, [&] {
        for (int i = 0; i < 200; i += 4)
            if (!operations[i]->ended()) return false;
        for (int i = 2; i < 200; i += 4)
            if (operations[i]->data.empty()) return false;
        return true;
    }));
    for (int i = 1; i < 200; i += 4) EXPECT_TRUE(operations[i]->results.empty());
    for (const auto& operation : operations) kernel->reclaim(*operation);
}

TEST_F(IoUring, A7_buffers_are_conserved) {
    const auto kernel = make_faulty({.buffers = 4});
    const Pair pair = unix_pair();
    std::size_t sent = 0;
    std::size_t received = 0;
    for (int i = 0; i < 5'000; i++) {
        TestOperation receive(Opcode::receive, pair.a.get());
        ASSERT_TRUE(kernel->submit(receive));
        if (i % 3 == 0) poll_now(*kernel, 1);
        ASSERT_TRUE(write_all(pair.b.get(), "abc"));
        sent += 3;
        if (i % 2 == 0)
            kernel->reclaim(receive);  // what it had is lost, its buffer is not
        else
            kernel->cancel(receive);
        ASSERT_TRUE(pump(*kernel, [&] { return receive.idle(); }));
        received += receive.data.size();
    }
    EXPECT_LE(received, sent);
    // Four at once, each with a buffer of its own: all four are still there.
    std::vector<Pair> pairs;
    std::vector<std::unique_ptr<TestOperation>> operations;
    for (int i = 0; i < 4; i++) {
        pairs.push_back(unix_pair());
        operations.push_back(std::make_unique<TestOperation>(Opcode::receive, pairs[i].a.get()));
        ASSERT_TRUE(write_all(pairs[i].b.get(), "x"));
        ASSERT_TRUE(kernel->submit(*operations[i]));
    }
    kernel->wait(10s);
    for (const auto& operation : operations) {
        EXPECT_EQ(operation->data, "x");
        kernel->reclaim(*operation);
    }
}

TEST_F(IoUring, A7_buffers_of_what_came_before_a_reclaim_are_lent_again) {
    const auto kernel = make_faulty({.buffers = 4});
    const Pair pair = unix_pair();
    const Pair quiet = unix_pair();
    for (int i = 0; i < 20; i++) {
        TestOperation receive(Opcode::receive, pair.a.get());
        TestOperation other(Opcode::receive, quiet.a.get());
        ASSERT_TRUE(kernel->submit(receive));
        ASSERT_TRUE(kernel->submit(other));
        poll_now(*kernel, 1);
        ASSERT_TRUE(write_all(pair.b.get(), "x"));
        kernel->reclaim(other);    // asks the system, which says what it has received
        kernel->reclaim(receive);  // nobody was told; its buffer goes back
    }
    TestOperation last(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(last));
    ASSERT_TRUE(write_all(pair.b.get(), "end"));
    ASSERT_TRUE(pump(*kernel, [&] { return last.data.ends_with("end"); }));
    kernel->reclaim(last);
}

TEST_F(IoUring, A7_more_buffers_take_part_when_they_run_out) {
    const auto kernel = make_faulty();
    if (kernel->buffers_lent() == 0) GTEST_SKIP() << "this system has no buffer rings";
    EXPECT_EQ(kernel->buffers_lent(), IoUringBuffers::initially_lent);
    std::vector<Pair> pairs;
    std::vector<std::unique_ptr<TestOperation>> operations;
    for (int i = 0; i < 100; i++) {
        pairs.push_back(unix_pair());
        operations.push_back(std::make_unique<TestOperation>(Opcode::receive, pairs[i].a.get()));
        ASSERT_TRUE(write_all(pairs[i].b.get(), "x"));
        ASSERT_TRUE(kernel->submit(*operations[i]));
    }
    ASSERT_TRUE(pump(*kernel, [&] {
        for (const auto& operation : operations)
            if (operation->data.empty()) return false;
        return true;
    }));
    EXPECT_GT(kernel->buffers_lent(), IoUringBuffers::initially_lent);
    for (const auto& operation : operations) kernel->reclaim(*operation);
}

TEST_F(IoUring, A6_tags_of_given_up_slots_find_nobody) {
    IoUringSlots slots;
    TestOperation first(Opcode::receive);
    TestOperation second(Opcode::receive);
    const std::uint32_t slot = slots.acquire(first);
    const std::uint64_t tag =
        IoUringSlots::tag(IoUringSlots::Kind::receive, slot, slots[slot].generation);
    EXPECT_EQ(slots.find(tag), &first);
    slots.release(slot);
    EXPECT_EQ(slots.find(tag), nullptr);
    EXPECT_EQ(slots.acquire(second), slot);
    EXPECT_EQ(slots.find(tag), nullptr);
    EXPECT_EQ(IoUringSlots::kind_of(tag), IoUringSlots::Kind::receive);
}

TEST_F(IoUring, one_system_call_a_wait_and_none_when_there_is_nothing) {
    const auto kernel = make_faulty();
    const Pair pair = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    poll_now(*kernel);
    enter_calls = 0;
    for (int i = 0; i < 10; i++) kernel->wait(Duration::zero());
    EXPECT_EQ(enter_calls, 0);
    for (int i = 0; i < 10; i++) {
        ASSERT_TRUE(write_all(pair.b.get(), "x"));
        TestOperation send(Opcode::send, pair.a.get());
        send.set_buffer("y", 1);
        ASSERT_TRUE(kernel->submit(send));
        kernel->wait(10s);
        EXPECT_TRUE(send.ended());
        EXPECT_EQ(enter_calls, i + 1);
    }
    kernel->reclaim(receive);
}

}  // namespace
}  // namespace asyncio::kernel::testing
#endif
