// SPDX-License-Identifier: MIT
//
// Streams on descriptors that others share, of each kind a standard stream may lead to.
#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/file/standard_streams.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace asyncio {
namespace {

using os::Fd;

enum class Kind { pipe, terminal, regular_file, socket };

/// `shared` is what a shell would give us; `other` is what leads there from outside.
struct Ends {
    Fd shared;
    Fd other;
};

class StandardStreams : public FolderTest, public ::testing::WithParamInterface<Kind> {
  protected:
    Ends make(bool we_read) const {
        int fds[2] = {-1, -1};
        switch (GetParam()) {
            case Kind::pipe:
                EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
                return {Fd(fds[we_read ? 0 : 1]), Fd(fds[we_read ? 1 : 0])};
            case Kind::socket:
                EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
                return {Fd(fds[0]), Fd(fds[1])};
            case Kind::terminal:
                return make_terminal();
            case Kind::regular_file:
                break;
        }
        put("shared", "");
        return {Fd(::open(path("shared").c_str(), O_RDWR | O_CLOEXEC)),
                Fd(::open(path("shared").c_str(), O_RDWR | O_CLOEXEC))};
    }

    static Ends make_terminal() {
        Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
        EXPECT_EQ(::grantpt(master.get()) + ::unlockpt(master.get()), 0);
        Fd slave(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
        termios raw = {};
        EXPECT_EQ(::tcgetattr(slave.get(), &raw), 0);
        raw.c_lflag |= ICANON;
        raw.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        raw.c_oflag &= ~static_cast<tcflag_t>(OPOST);
        EXPECT_EQ(::tcsetattr(slave.get(), TCSANOW, &raw), 0);
        return {std::move(slave), std::move(master)};
    }

    static void put_into(const Fd& fd, std::string_view text) {
        EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
};

std::string read_from(const Fd& fd, std::size_t size) {
    std::string text(size, '\0');
    std::size_t got = 0;
    while (got < size) {
        const ssize_t count = ::read(fd.get(), text.data() + got, size - got);
        if (count <= 0) break;
        got += static_cast<std::size_t>(count);
    }
    text.resize(got);
    return text;
}

TEST_P(StandardStreams, input_is_read_line_by_line_and_its_flags_stay) {
    Ends ends = make(true);
    const int flags = ::fcntl(ends.shared.get(), F_GETFL);
    put_into(ends.other, "one\ntwo\n");
    asyncio::run([&]() -> Coro<> {
        const StandardInput input = file::open_input(ends.shared.get(), 65536);
        const std::string one = co_await input.readline();
        const std::string two = co_await input.readline();
        EXPECT_EQ(one + two, "one\ntwo\n");
        EXPECT_EQ(::fcntl(ends.shared.get(), F_GETFL), flags);
        if (GetParam() == Kind::terminal)
            put_into(ends.other, "\x04");  // Ctrl-D
        else
            ends.other.reset();
        const std::string rest = co_await input.read();
        EXPECT_EQ(rest, "");
        EXPECT_TRUE(input.at_eof());
    });
    EXPECT_EQ(::fcntl(ends.shared.get(), F_GETFL), flags);
}

TEST_P(StandardStreams, output_arrives_in_order_and_its_flags_stay) {
    const Ends ends = make(false);
    const int flags = ::fcntl(ends.shared.get(), F_GETFL);
    std::string text;
    for (int i = 0; text.size() < 1'000'000; ++i) text += "line " + std::to_string(i) + "\n";
    std::string arrived;
    std::thread reader;
    if (GetParam() != Kind::regular_file)
        reader = std::thread([&] { arrived = read_from(ends.other, text.size()); });
    asyncio::run([&]() -> Coro<> {
        const StreamWriter output = file::open_output(ends.shared.get());
        for (std::size_t i = 0; i < text.size(); i += 5000) {
            output.write(std::string_view(text).substr(i, 5000));
            co_await output.drain();
            EXPECT_LE(output.write_buffer_size(), 65536u + 5000u);
        }
        EXPECT_EQ(::fcntl(ends.shared.get(), F_GETFL), flags);
        output.close();
        co_await output.wait_closed();
    });
    if (reader.joinable()) reader.join();
    if (GetParam() == Kind::regular_file) arrived = get("shared");
    EXPECT_EQ(arrived.size(), text.size());
    EXPECT_TRUE(arrived == text);
    EXPECT_EQ(::fcntl(ends.shared.get(), F_GETFL), flags);
}

TEST_P(StandardStreams, cancelling_a_read_loses_nothing) {
    const Ends ends = make(true);
    asyncio::run([&]() -> Coro<> {
        const StandardInput input = file::open_input(ends.shared.get(), 65536);
        if (GetParam() == Kind::regular_file) co_return;  // it never waits
        auto read_line = [&]() -> Coro<std::string> {
            std::string line = co_await input.readline();
            co_return line;
        };
        for (int i = 0; i < 10; ++i) {
            Task<std::string> reading = create_task(read_line);
            co_await sleep(Duration::zero());
            put_into(ends.other, std::to_string(i) + "\n");
            for (int turns = 0; turns < i; ++turns) co_await sleep(Duration::zero());
            reading.cancel();
            const auto outcome = co_await as_outcome(reading);
            std::string line;
            if (outcome) line = *outcome;
            if (!outcome) line = co_await read_line();
            EXPECT_EQ(line, std::to_string(i) + "\n");
        }
    });
}

TEST_P(StandardStreams, who_comes_after_goes_on_where_we_stopped) {
    const Ends ends = make(false);
    put_into(ends.shared, "before\n");
    asyncio::run([&]() -> Coro<> {
        const StreamWriter output = file::open_output(ends.shared.get());
        output.write("ours\n");
        output.close();
        co_await output.wait_closed();
    });
    put_into(ends.shared, "after\n");
    EXPECT_EQ(read_from(ends.other, 18), "before\nours\nafter\n");
}

TEST_P(StandardStreams, what_was_written_goes_out_when_the_loop_closes) {
    const Ends ends = make(false);
    asyncio::run([&]() -> Coro<> {
        const StreamWriter output = file::open_output(ends.shared.get());
        output.write("last words\n");
        output.close();
        co_return;
    });
    EXPECT_EQ(read_from(ends.other, 11), "last words\n");
}

TEST_P(StandardStreams, a_lost_reader_is_an_error_and_no_signal) {
    if (GetParam() == Kind::regular_file || GetParam() == Kind::terminal) return;
    Ends ends = make(false);
    asyncio::run([&]() -> Coro<> {
        const StreamWriter output = file::open_output(ends.shared.get());
        ends.other.reset();
        auto write_on = [&]() -> Coro<> {
            for (;;) {
                output.write(std::string(1000, 'x'));
                co_await output.drain();
                co_await sleep(Duration::zero());
            }
        };
        const auto end = co_await as_outcome(write_on());
        const int error = errno_of(end);
        EXPECT_TRUE(error == EPIPE || error == ECONNRESET) << error;
    });
}

std::string name_of(const ::testing::TestParamInfo<Kind>& info) {
    static constexpr const char* kNames[] = {"pipe", "terminal", "regular_file", "socket"};
    return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Kinds, StandardStreams,
                         ::testing::Values(Kind::pipe, Kind::terminal, Kind::regular_file,
                                           Kind::socket),
                         name_of);

TEST(StandardStream, a_pipe_of_somebody_with_more_rights_is_read_and_written_all_the_same) {
    if (::getuid() != 0) GTEST_SKIP() << "only root can give up rights";
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    ASSERT_EQ(::pipe2(in, O_CLOEXEC) + ::pipe2(out, O_CLOEXEC), 0);
    const Fd their_input(in[1]);
    const Fd their_output(out[0]);
    const pid_t child = ::fork();
    if (child == 0) {  // opening /proc/self/fd/N is refused here
        if (::setuid(65534) != 0) ::_exit(1);
        asyncio::run([&]() -> Coro<> {
            const StandardInput input = file::open_input(in[0], 65536);
            const StreamWriter output = file::open_output(out[1]);
            const std::string line = co_await input.readline();
            output.write("heard " + line);
            output.close();
            co_await output.wait_closed();
        });
        ::_exit((::fcntl(in[0], F_GETFL) | ::fcntl(out[1], F_GETFL)) & O_NONBLOCK ? 2 : 0);
    }
    ::close(in[0]);
    ::close(out[1]);
    EXPECT_EQ(::write(their_input.get(), "it\n", 3), 3);
    EXPECT_EQ(read_from(their_output, 100), "heard it\n");
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(StandardStream, what_is_closed_or_leads_the_other_way_is_refused) {
    int fds[2] = {-1, -1};
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    const Fd read_end(fds[0]);
    const Fd write_end(fds[1]);
    asyncio::run([&]() -> Coro<> {
        EXPECT_THROW((void)file::open_input(write_end.get(), 65536), std::system_error);
        EXPECT_THROW((void)file::open_output(read_end.get()), std::system_error);
        EXPECT_THROW((void)file::open_input(999, 65536), std::system_error);
        co_return;
    });
}

TEST(StandardStream, an_input_that_goes_leaves_the_rest_to_others) {
    int fds[2] = {-1, -1};
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    const Fd read_end(fds[0]);
    const Fd write_end(fds[1]);
    asyncio::run([&]() -> Coro<> {
        {
            const StandardInput input = file::open_input(read_end.get(), 65536);
            EXPECT_EQ(::write(write_end.get(), "ours\n", 5), 5);
            const std::string line = co_await input.readline();
            EXPECT_EQ(line, "ours\n");
        }
        co_await sleep(Duration::zero());
        EXPECT_EQ(::write(write_end.get(), "theirs\n", 7), 7);
        co_await sleep(Duration::zero());
        EXPECT_EQ(read_from(read_end, 7), "theirs\n");
    });
}

}  // namespace
}  // namespace asyncio
