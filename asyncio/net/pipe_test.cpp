// SPDX-License-Identifier: MIT
//
// Pipes as transports: each behaviour of area PIPE.
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/stream/stream_reader_protocol.hpp>

#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

/// What a protocol was told, kept beyond its life.
struct Told {
    std::string events;  // m: made, e: end of stream, l: lost, p: pause, r: resume
    std::string data;
    std::exception_ptr error;
    bool lost = false;
};

class Recorder final : public Protocol {
  public:
    explicit Recorder(Told& told) : told_(told) {}
    void connection_made(Transport&) override { told_.events += 'm'; }
    void data_received(std::span<const std::byte> data) override { told_.data += as_text(data); }
    bool eof_received() override {
        told_.events += 'e';
        return true;
    }
    void connection_lost(std::exception_ptr error) override {
        told_.events += 'l';
        told_.error = error;
        told_.lost = true;
    }
    void pause_writing() override { told_.events += 'p'; }
    void resume_writing() override { told_.events += 'r'; }

  private:
    Told& told_;
};

struct Ends {
    Fd read;
    Fd write;
};

Ends make_pipe(int flags = O_CLOEXEC) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, flags), 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

Coro<Ref<Transport>> reader_of(Fd& fd, Told& told) {
    auto factory = [&told] { return std::make_unique<Recorder>(told); };
    auto both = co_await get_running_loop().connect_read_pipe(factory, fd.get());
    (void)fd.release();
    co_return both.first;
}

Coro<Ref<Transport>> writer_of(Fd& fd, Told& told) {
    auto factory = [&told] { return std::make_unique<Recorder>(told); };
    auto both = co_await get_running_loop().connect_write_pipe(factory, fd.get());
    (void)fd.release();
    co_return both.first;
}

Coro<> expect_lost(Told& told) {
    auto lost = [&] { return told.lost; };
    const bool done = co_await until(lost);
    EXPECT_TRUE(done);
}

Coro<> expect_data(Told& told, std::string data) {
    auto there = [&] { return told.data == data; };
    const bool done = co_await until(there);
    EXPECT_TRUE(done) << told.data.size();
}

TEST(Pipe, PIPE_01_a_read_pipe_delivers_data_then_the_end) {
    testing::run([]() -> Coro<> {
        const int before = open_descriptors();
        Told told;
        {
            Ends pipe = make_pipe();
            const Ref<Transport> transport = co_await reader_of(pipe.read, told);
            EXPECT_TRUE(transport->is_reading());
            EXPECT_THROW(transport->write("x"), std::logic_error);
            EXPECT_EQ(::write(pipe.write.get(), "hello", 5), 5);
            co_await expect_data(told, "hello");
            EXPECT_EQ(::write(pipe.write.get(), " world", 6), 6);
            pipe.write.reset();
            co_await expect_lost(told);
            EXPECT_EQ(told.data, "hello world");
            EXPECT_EQ(told.events, "mel");  // true from eof_received changes nothing
            EXPECT_FALSE(told.error);
        }
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(Pipe, PIPE_02_a_write_pipe_notices_that_its_reader_closed) {
    testing::run([]() -> Coro<> {
        Told idle;
        Ends pipe = make_pipe();
        Ref<Transport> transport = co_await writer_of(pipe.write, idle);
        transport->write("x");
        co_await sleep(0s);
        co_await sleep(0s);
        pipe.read.reset();
        co_await expect_lost(idle);
        EXPECT_FALSE(idle.error);

        Told busy;
        pipe = make_pipe();
        transport = co_await writer_of(pipe.write, busy);
        transport->write(std::string(1 << 20, 'x'));
        co_await sleep(0s);
        EXPECT_GT(transport->get_write_buffer_size(), 0u);
        pipe.read.reset();
        co_await expect_lost(busy);
        EXPECT_EQ(describe(busy.error), "std::system_error: write: Broken pipe");
        EXPECT_EQ(busy.events, "mpl");
    });
}

TEST(Pipe, PIPE_03_what_is_no_pipe_is_refused) {
    testing::run([]() -> Coro<> {
        Told told;
        std::string path = "/tmp/asyncio-pipe-XXXXXX";
        Fd file(::mkstemp(path.data()));
        ::unlink(path.c_str());
        const auto reading = co_await as_outcome(reader_of(file, told));
        const auto writing = co_await as_outcome(writer_of(file, told));
        const std::string refused =
            "std::invalid_argument: a pipe transport is for pipes, sockets and character devices";
        EXPECT_EQ(error_of(reading), refused);
        EXPECT_EQ(error_of(writing), refused);
        EXPECT_TRUE(file);
        EXPECT_GE(::fcntl(file.get(), F_GETFD), 0);
        Fd none;
        const auto closed = co_await as_outcome(reader_of(none, told));
        EXPECT_EQ(error_of(closed),
                  "std::system_error: make a pipe transport of descriptor -1: Bad file descriptor");
        EXPECT_EQ(told.events, "");
    });
}

TEST(Pipe, PIPE_03_sockets_and_devices_are_taken_and_made_non_blocking) {
    testing::run([]() -> Coro<> {
        int pair[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        Fd ours(pair[0]);
        Fd theirs(pair[1]);
        Told told;
        const int number = ours.get();
        const Ref<Transport> transport = co_await reader_of(ours, told);
        EXPECT_TRUE(os::is_nonblocking(number));
        EXPECT_EQ(::write(theirs.get(), "socket", 6), 6);
        theirs.reset();
        co_await expect_lost(told);
        EXPECT_EQ(told.data, "socket");

        Told empty;
        Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        (void)co_await reader_of(null, empty);
        co_await expect_lost(empty);
        EXPECT_EQ(empty.events, "mel");

        Told hole;
        Fd sink(::open("/dev/null", O_RDWR | O_CLOEXEC));
        const Ref<Transport> into = co_await writer_of(sink, hole);
        into->write("gone");
        into->close();
        co_await expect_lost(hole);
        EXPECT_EQ(hole.events, "ml");
        EXPECT_FALSE(hole.error);
    });
}

TEST(Pipe, PIPE_03_a_shared_description_blocks_again_afterwards) {
    testing::run([]() -> Coro<> {
        Ends pipe = make_pipe();
        const Fd other(::dup(pipe.read.get()));
        EXPECT_FALSE(os::is_nonblocking(other.get()));
        Told told;
        const Ref<Transport> transport = co_await reader_of(pipe.read, told);
        EXPECT_TRUE(os::is_nonblocking(other.get()));
        transport->close();
        co_await expect_lost(told);
        EXPECT_FALSE(os::is_nonblocking(other.get()));
    });
}

TEST(Pipe, PIPE_04_blocked_writes_continue_in_order_with_flow_control) {
    testing::run([]() -> Coro<> {
        Ends in = make_pipe();
        Told told;
        const Ref<Transport> transport = co_await writer_of(in.write, told);
        std::string expected;
        for (int i = 0; i < 300; ++i) {
            const std::string piece = std::to_string(i) + std::string(i % 7 * 1000, '.');
            transport->write(piece);
            expected += piece;
        }
        EXPECT_EQ(told.events, "mp");
        Told received;
        const Ref<Transport> reading = co_await reader_of(in.read, received);
        co_await expect_data(received, expected);
        EXPECT_EQ(told.events, "mpr");
        transport->close();
        co_await expect_lost(received);
    });
}

TEST(Pipe, PIPE_05_close_and_write_eof_flush_and_abort_drops) {
    testing::run([]() -> Coro<> {
        for (const char end : {'c', 'e', 'a'}) {
            Ends pipe = make_pipe();
            Told told;
            const Ref<Transport> transport = co_await writer_of(pipe.write, told);
            transport->write(std::string(1 << 20, 'x'));
            EXPECT_TRUE(transport->can_write_eof());
            if (end == 'c') transport->close();
            if (end == 'e') transport->write_eof();
            if (end == 'a') transport->abort();
            EXPECT_TRUE(transport->is_closing());
            Told received;
            (void)co_await reader_of(pipe.read, received);
            co_await expect_lost(told);
            co_await expect_lost(received);
            EXPECT_FALSE(told.error);
            EXPECT_EQ(received.data.size() == 1 << 20, end != 'a') << end;
            EXPECT_LE(received.data.size(), std::size_t{1} << 20);
        }
    });
}

TEST(Pipe, PIPE_06_pausing_works_and_is_ignored_after_close) {
    testing::run([]() -> Coro<> {
        Ends pipe = make_pipe();
        Told told;
        const Ref<Transport> transport = co_await reader_of(pipe.read, told);
        transport->pause_reading();
        transport->pause_reading();
        EXPECT_FALSE(transport->is_reading());
        EXPECT_EQ(::write(pipe.write.get(), "later", 5), 5);
        for (int i = 0; i < 20; ++i) co_await sleep(0s);
        EXPECT_EQ(told.data, "");
        transport->resume_reading();
        transport->resume_reading();
        co_await expect_data(told, "later");
        transport->close();
        transport->pause_reading();
        transport->resume_reading();
        EXPECT_FALSE(transport->is_reading());
        co_await expect_lost(told);
        EXPECT_EQ(told.events, "ml");
    });
}

TEST(Pipe, PIPE_07_terminals_work_in_both_directions_and_hang_up_quietly) {
    testing::run([]() -> Coro<> {
        Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        EXPECT_EQ(::grantpt(master.get()), 0);
        EXPECT_EQ(::unlockpt(master.get()), 0);
        Fd slave(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
        termios raw = {};
        EXPECT_EQ(::tcgetattr(slave.get(), &raw), 0);
        ::cfmakeraw(&raw);
        EXPECT_EQ(::tcsetattr(slave.get(), TCSANOW, &raw), 0);
        Fd master_copy(::fcntl(master.get(), F_DUPFD_CLOEXEC, 0));
        Fd slave_copy(::fcntl(slave.get(), F_DUPFD_CLOEXEC, 0));
        Told at_master;
        Told at_slave;
        Told writing;
        Told answering;
        const Ref<Transport> read_slave = co_await reader_of(slave, at_slave);
        const Ref<Transport> write_master = co_await writer_of(master, writing);
        const Ref<Transport> read_master = co_await reader_of(master_copy, at_master);
        const Ref<Transport> write_slave = co_await writer_of(slave_copy, answering);
        write_master->write("down");
        co_await expect_data(at_slave, "down");
        write_slave->write("up");
        co_await expect_data(at_master, "up");
        write_slave->close();
        read_slave->close();
        co_await expect_lost(at_master);
        EXPECT_FALSE(at_master.error);
        write_master->close();
        co_await expect_lost(writing);
    });
}

TEST(Pipe, PIPE_08_closing_twice_is_harmless_and_transports_may_outlive_the_loop) {
    Told told;
    Ref<Transport> reading;
    Ref<Transport> writing;
    const int before = open_descriptors();
    {
        EventLoop loop;
        loop.run_until_complete([](Told& t, Ref<Transport>& r, Ref<Transport>& w) -> Coro<> {
            Ends one = make_pipe();
            Ends two = make_pipe();
            r = co_await reader_of(one.read, t);
            w = co_await writer_of(two.write, t);
            w->write(std::string(1 << 20, 'x'));
            w->close();
            w->close();
            r->close();
            r->close();
        }(told, reading, writing));
    }
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_TRUE(reading->is_closing());
    EXPECT_EQ(reading->peername().to_string(), "");
    EXPECT_EQ(writing->fileno(), -1);
    EXPECT_THROW(reading->write("x"), std::logic_error);
    writing->write("x");
}

TEST(Pipe, a_stream_reader_can_be_fed_from_one) {
    testing::run([]() -> Coro<> {
        Ends pipe = make_pipe();
        EXPECT_EQ(::write(pipe.write.get(), "one\ntwo", 7), 7);
        StreamReader reader;
        auto [transport, protocol] = co_await get_running_loop().connect_read_pipe(
            [&] { return std::make_unique<StreamReaderProtocol>(reader); }, pipe.read.release());
        const std::string line = co_await reader.readline();
        EXPECT_EQ(line, "one\n");
        pipe.write.reset();
        const std::string rest = co_await reader.read();
        EXPECT_EQ(rest, "two");
        EXPECT_TRUE(reader.at_eof());
    });
}

TEST(Pipe, data_written_before_the_end_is_all_there) {
    testing::run([]() -> Coro<> {
        Ends pipe = make_pipe();
        Told told;
        const Ref<Transport> transport = co_await writer_of(pipe.write, told);
        std::vector<std::string> lines(200, std::string(1000, 'l'));
        std::vector<std::span<const std::byte>> parts;
        for (const std::string& line : lines) parts.push_back(bytes_of(line));
        transport->writelines(parts);
        transport->close();
        Told received;
        const Ref<Transport> reading = co_await reader_of(pipe.read, received);
        co_await expect_lost(received);
        EXPECT_EQ(received.data.size(), 200'000u);
    });
}

}  // namespace
}  // namespace asyncio
