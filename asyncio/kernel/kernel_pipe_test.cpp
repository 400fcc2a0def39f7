// SPDX-License-Identifier: MIT
//
// receive and send on what is no socket: pipes, terminals, /dev/null. SIGPIPE has its default
// disposition here, so a kernel that raised it would end the test.
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/kernel/kernel_fixture_test.hpp>
#include <asyncio/os/pipe.hpp>

#include <string>

#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>

namespace asyncio::kernel::testing {
namespace {

struct PipeOperation : TestOperation {
    PipeOperation(Opcode code, int descriptor) : TestOperation(code, descriptor) {
        is_socket = false;
    }
};

class KernelPipe : public KernelFixture {
  protected:
    static Pair make_pipe() {
        int ends[2] = {-1, -1};
        EXPECT_EQ(os::make_pipe(ends[0], ends[1]), 0);
        return {Fd(ends[0]), Fd(ends[1])};
    }
    /// What the operation comes to, whether inline or later.
    int outcome(TestOperation& operation) {
        if (!kernel->submit(operation)) return operation.inline_result;
        EXPECT_TRUE(pump(*kernel, [&] { return operation.ended(); }));
        return operation.last();
    }
};
INSTANTIATE_TEST_SUITE_P(Variants, KernelPipe, variants(), name_of);

TEST_P(KernelPipe, data_and_then_the_end) {
    Pair pipe = make_pipe();
    PipeOperation receive(Opcode::receive, pipe.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    for (const char* text : {"one", "two", "three"}) {
        receive.data.clear();
        ASSERT_GT(::write(pipe.b.get(), text, std::strlen(text)), 0);
        ASSERT_TRUE(pump(*kernel, [&] { return receive.data == text; }));
    }
    ASSERT_EQ(::write(pipe.b.get(), "last", 4), 4);
    pipe.b.reset();
    ASSERT_TRUE(pump(*kernel, [&] { return receive.ended(); }));
    EXPECT_EQ(receive.data, "threelast");
    EXPECT_EQ(receive.last(), 0);
}

TEST_P(KernelPipe, a_receive_may_be_cancelled_and_begun_again) {
    const Pair pipe = make_pipe();
    PipeOperation receive(Opcode::receive, pipe.a.get());
    for (int i = 0; i < 20; i++) {
        receive.reset();
        ASSERT_TRUE(kernel->submit(receive));
        if (i % 2 == 0) poll_now(*kernel);
        kernel->cancel(receive);
        ASSERT_TRUE(pump(*kernel, [&] { return receive.ended(); }));
        EXPECT_EQ(receive.last(), -ECANCELED);
    }
    receive.reset();
    ASSERT_TRUE(kernel->submit(receive));
    ASSERT_EQ(::write(pipe.b.get(), "x", 1), 1);
    ASSERT_TRUE(pump(*kernel, [&] { return receive.data == "x"; }));
    kernel->reclaim(receive);
}

TEST_P(KernelPipe, a_full_pipe_takes_more_when_it_was_read) {
    const Pair pipe = make_pipe();
    const std::string block(1 << 16, 'b');
    int taken = 0;
    for (;;) {
        PipeOperation send(Opcode::send, pipe.b.get());
        send.set_buffer(block.data(), block.size());
        if (kernel->submit(send)) {
            poll_now(*kernel);
            EXPECT_FALSE(send.ended());
            std::string read(1 << 20, '\0');
            ASSERT_EQ(::read(pipe.a.get(), read.data(), read.size()), taken);
            ASSERT_TRUE(pump(*kernel, [&] { return send.ended(); }));
            EXPECT_GT(send.last(), 0);
            break;
        }
        ASSERT_GT(send.inline_result, 0);
        taken += send.inline_result;
    }
}

TEST_P(KernelPipe, a_blocked_send_may_be_cancelled_or_taken_back) {
    const Pair pipe = make_pipe();
    const std::string block(1 << 20, 'b');
    PipeOperation fill(Opcode::send, pipe.b.get());
    fill.set_buffer(block.data(), block.size());
    ASSERT_GT(outcome(fill), 0);
    PipeOperation send(Opcode::send, pipe.b.get());
    send.set_buffer(block.data(), block.size());
    ASSERT_TRUE(kernel->submit(send));
    kernel->cancel(send);
    ASSERT_TRUE(pump(*kernel, [&] { return send.ended(); }));
    EXPECT_EQ(send.last(), -ECANCELED);
    send.reset();
    ASSERT_TRUE(kernel->submit(send));
    poll_now(*kernel);
    kernel->reclaim(send);
    EXPECT_TRUE(send.idle());
}

TEST_P(KernelPipe, a_reader_that_went_away_is_an_error_and_no_signal) {
    Pair pipe = make_pipe();
    const std::string block(1 << 20, 'b');
    PipeOperation fill(Opcode::send, pipe.b.get());
    fill.set_buffer(block.data(), block.size());
    ASSERT_GT(outcome(fill), 0);
    PipeOperation blocked(Opcode::send, pipe.b.get());
    blocked.set_buffer(block.data(), block.size());
    ASSERT_TRUE(kernel->submit(blocked));
    pipe.a.reset();
    ASSERT_TRUE(pump(*kernel, [&] { return blocked.ended(); }));
    EXPECT_EQ(blocked.last(), -EPIPE);
    PipeOperation after(Opcode::send, pipe.b.get());
    after.set_buffer("x", 1);
    EXPECT_EQ(outcome(after), -EPIPE);
    sigset_t pending;
    sigpending(&pending);
    EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST_P(KernelPipe, polling_the_writing_end_tells_that_the_reader_went_away) {
    Pair pipe = make_pipe();
    TestOperation poll(Opcode::poll, pipe.b.get());
    poll.events = POLLIN;
    ASSERT_TRUE(kernel->submit(poll));
    poll_now(*kernel);
    EXPECT_FALSE(poll.ended());
    pipe.a.reset();
    ASSERT_TRUE(pump(*kernel, [&] { return poll.ended(); }));
    EXPECT_NE(poll.last() & POLLERR, 0);
}

TEST_P(KernelPipe, dev_null_reads_empty_and_takes_everything) {
    const Fd null(::open("/dev/null", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    PipeOperation receive(Opcode::receive, null.get());
    EXPECT_EQ(outcome(receive), 0);
    PipeOperation send(Opcode::send, null.get());
    send.set_buffer("gone", 4);
    EXPECT_EQ(outcome(send), 4);
}

TEST_P(KernelPipe, a_terminal_gives_its_lines_and_ends_quietly) {
    Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(master);
    ASSERT_EQ(::grantpt(master.get()), 0);
    ASSERT_EQ(::unlockpt(master.get()), 0);
    Fd slave(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
    ASSERT_TRUE(slave);
    EXPECT_EQ(os::kind_of(slave.get()), os::FileKind::terminal);
    PipeOperation lines(Opcode::receive, slave.get());
    ASSERT_TRUE(kernel->submit(lines));
    ASSERT_EQ(::write(master.get(), "one\ntwo\n", 8), 8);
    ASSERT_TRUE(pump(*kernel, [&] { return lines.data == "one\ntwo\n"; }));
    kernel->reclaim(lines);
    // A terminal whose other side is closed answers EIO: the end.
    PipeOperation rest(Opcode::receive, master.get());
    ASSERT_TRUE(kernel->submit(rest));
    kernel->close(slave.release());
    ASSERT_TRUE(pump(*kernel, [&] { return rest.ended(); }));
    EXPECT_EQ(rest.last(), 0);
}

}  // namespace
}  // namespace asyncio::kernel::testing
