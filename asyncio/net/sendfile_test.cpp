// SPDX-License-Identifier: MIT
//
// Files out of sockets and transports: each behaviour of area SENDF.
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/sendfile.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/task/wait_for.hpp>

#include <memory>
#include <optional>
#include <string>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

std::string contents_of(std::size_t size) {
    std::string contents(size, '\0');
    for (std::size_t i = 0; i < size; ++i) contents[i] = static_cast<char>('a' + i * 7 % 26);
    return contents;
}

/// A file without a name.
struct File {
    explicit File(const std::string& contents) {
        std::string path = "/tmp/asyncio-sendfile-XXXXXX";
        fd.reset(::mkstemp(path.data()));
        ::unlink(path.c_str());
        EXPECT_EQ(::write(fd.get(), contents.data(), contents.size()),
                  static_cast<ssize_t>(contents.size()));
    }
    off_t position() const { return ::lseek(fd.get(), 0, SEEK_CUR); }
    Fd fd;
};

std::pair<Fd, Fd> socket_pair() {
    int fds[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    return std::pair<Fd, Fd>(Fd(fds[0]), Fd(fds[1]));
}

/// Reads from `fd` until `size` bytes are there.
Coro<std::string> receive_all(const Fd& fd, std::size_t size) {
    std::string all;
    auto done = [&] {
        all += raw_receive(fd);
        return all.size() >= size;
    };
    const bool there = co_await until(done);
    EXPECT_TRUE(there) << all.size();
    co_return all;
}

TEST(Sendfile, SENDF_01_SENDF_02_the_whole_file_or_a_part_of_it) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const std::string contents = contents_of(3 << 20);
        const File file(contents);
        const auto [one, two] = socket_pair();
        Task<std::size_t> whole = create_task(loop.sock_sendfile(one.get(), file.fd.get()));
        const std::string received = co_await receive_all(two, contents.size());
        EXPECT_TRUE(received == contents);
        const std::size_t sent = co_await whole;
        EXPECT_EQ(sent, contents.size());
        EXPECT_EQ(file.position(), static_cast<off_t>(contents.size()));

        SendfileOptions options;
        options.offset = 1000;
        options.count = 500;
        const std::size_t part = co_await loop.sock_sendfile(one.get(), file.fd.get(), options);
        EXPECT_EQ(part, 500u);
        EXPECT_EQ(raw_receive(two), contents.substr(1000, 500));
        EXPECT_EQ(file.position(), 1500);

        options.offset = contents.size();
        options.count = std::nullopt;
        const std::size_t nothing = co_await loop.sock_sendfile(one.get(), file.fd.get(), options);
        EXPECT_EQ(nothing, 0u);
        const File empty("");
        const std::size_t none = co_await loop.sock_sendfile(one.get(), empty.fd.get());
        EXPECT_EQ(none, 0u);
    });
}

TEST(Sendfile, SENDF_03_bad_arguments_are_refused) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const File file("x");
        const auto [one, two] = socket_pair();
        SendfileOptions options;
        options.count = 0;
        const auto zero =
            co_await as_outcome(loop.sock_sendfile(one.get(), file.fd.get(), options));
        EXPECT_EQ(error_of(zero),
                  "std::invalid_argument: count must be a positive integer (got 0)");
        const Fd datagram(os::datagram_socket(AF_INET));
        const auto type = co_await as_outcome(loop.sock_sendfile(datagram.get(), file.fd.get()));
        EXPECT_EQ(error_of(type),
                  "std::invalid_argument: only SOCK_STREAM type sockets are supported");
        const auto closed = co_await as_outcome(loop.sock_sendfile(one.get(), 19'999));
        EXPECT_EQ(error_of(closed), "std::invalid_argument: sendfile: not an open file");
        options.count = 1;
        options.offset = ~std::uint64_t{0};
        const auto beyond =
            co_await as_outcome(loop.sock_sendfile(one.get(), file.fd.get(), options));
        EXPECT_EQ(error_of(beyond), "std::invalid_argument: offset is too large");
    });
}

TEST(Sendfile, SENDF_04_what_the_system_cannot_send_is_read_or_refused) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const auto [one, two] = socket_pair();
        // The system sends nothing out of a directory; neither can it be read.
        const Fd directory(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        SendfileOptions options;
        options.fallback = false;
        const auto refused =
            co_await as_outcome(loop.sock_sendfile(one.get(), directory.get(), options));
        EXPECT_NE(error_of(refused).find("os.sendfile call failed"), std::string::npos)
            << error_of(refused);
        const auto unreadable = co_await as_outcome(loop.sock_sendfile(one.get(), directory.get()));
        EXPECT_EQ(error_of(unreadable), "std::system_error: sendfile: read: Is a directory");
    });
}

TEST(Sendfile, SENDF_05_cancelling_leaves_the_position_behind_what_was_sent) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const std::string contents = contents_of(4 << 20);
        const File file(contents);
        const auto [one, two] = socket_pair();
        Task<std::size_t> task = create_task(loop.sock_sendfile(one.get(), file.fd.get()));
        co_await sleep(0s);
        co_await sleep(0s);
        task.cancel();
        const auto outcome = co_await as_outcome(std::move(task));
        EXPECT_TRUE(outcome.cancelled());
        std::size_t received = 0;
        for (std::string piece = raw_receive(two); !piece.empty(); piece = raw_receive(two))
            received += piece.size();
        EXPECT_GT(received, 0u);
        EXPECT_EQ(file.position(), static_cast<off_t>(received));
    });
}

TEST(Sendfile, SENDF_06_SENDF_10_an_error_in_the_middle_is_raised) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const File file(contents_of(4 << 20));
        auto [one, two] = socket_pair();
        Task<std::size_t> task = create_task(loop.sock_sendfile(one.get(), file.fd.get()));
        co_await sleep(0s);
        co_await sleep(0s);
        two.reset();
        const auto outcome = co_await as_outcome(std::move(task));
        EXPECT_EQ(error_of(outcome), "std::system_error: sock_sendfile: Broken pipe");
        EXPECT_GT(file.position(), 0);
        EXPECT_LT(file.position(), 4 << 20);

        Peer peer;
        Task<std::size_t> through = create_task(loop.sendfile(*peer.transport, file.fd.get()));
        co_await sleep(0s);
        co_await sleep(0s);
        reset(peer.raw);
        const auto lost = co_await as_outcome(std::move(through));
        EXPECT_FALSE(lost);
        EXPECT_NE(error_of(lost).find("std::system_error: sendfile"), std::string::npos);
        peer.writer.abort();
    });
}

TEST(Sendfile, SENDF_07_SENDF_08_what_was_written_goes_first_and_nothing_between) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const std::string contents = contents_of(3 << 20);
        const File file(contents);
        Peer peer;
        const std::string before(1 << 20, 'B');
        peer.writer.write(before);
        Task<std::size_t> task = create_task(loop.sendfile(*peer.transport, file.fd.get()));
        co_await sleep(0s);
        EXPECT_THROW(peer.writer.write("between"), std::logic_error);
        const auto twice = co_await as_outcome(loop.sendfile(*peer.transport, file.fd.get()));
        EXPECT_NE(error_of(twice).find("sendfile is in progress"), std::string::npos);
        const std::string received =
            co_await receive_all(peer.raw, before.size() + contents.size());
        const std::size_t sent = co_await task;
        EXPECT_EQ(sent, contents.size());
        peer.writer.write("after");
        const std::string rest = co_await receive_all(peer.raw, 5);
        EXPECT_TRUE(received == before + contents);
        EXPECT_EQ(rest, "after");
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(Sendfile, SENDF_09_a_closing_transport_is_refused) {
    testing::run([]() -> Coro<> {
        const File file("x");
        Peer peer;
        peer.writer.close();
        const auto outcome =
            co_await as_outcome(get_running_loop().sendfile(*peer.transport, file.fd.get()));
        EXPECT_EQ(error_of(outcome), "std::logic_error: Transport is closing");
        co_await peer.writer.wait_closed();
    });
}

TEST(Sendfile, SENDF_10_closing_under_it_is_an_error_and_after_delivery_is_none) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const File file(contents_of(4 << 20));
        Peer peer;
        Task<std::size_t> task = create_task(loop.sendfile(*peer.transport, file.fd.get()));
        co_await sleep(0s);
        co_await sleep(0s);
        peer.transport->abort();
        const auto outcome = co_await as_outcome(std::move(task));
        EXPECT_NE(error_of(outcome).find("Connection closed by peer"), std::string::npos);

        const File small("small");
        Peer second;
        const std::size_t sent = co_await loop.sendfile(*second.transport, small.fd.get());
        EXPECT_EQ(sent, 5u);
        const std::string received = co_await receive_all(second.raw, 5);
        EXPECT_EQ(received, "small");
        second.raw.reset();
        const std::string end = co_await second.reader.read();
        EXPECT_EQ(end, "");
        second.writer.close();
    });
}

TEST(Sendfile, SENDF_10_closing_ends_it_while_it_waits_for_what_was_written_before) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const File file("never sent");
        Peer peer;
        const std::string before(16 << 20, 'b');  // more than the sockets take
        peer.writer.write(before);
        Task<std::size_t> task = create_task(loop.sendfile(*peer.transport, file.fd.get()));
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_FALSE(task.done());
        EXPECT_GT(peer.transport->get_write_buffer_size(), 0u);
        peer.transport->close();
        const auto outcome = co_await as_outcome(wait_for(std::move(task), 10s));
        EXPECT_NE(error_of(outcome).find("sendfile: Connection closed"), std::string::npos)
            << error_of(outcome);
        EXPECT_EQ(file.position(), 0);
        const std::string received = co_await receive_all(peer.raw, before.size());
        EXPECT_TRUE(received == before);
        auto ended = [&] { return raw_ended(peer.raw); };
        EXPECT_TRUE(co_await until(ended));
        co_await peer.writer.wait_closed();
    });
}

TEST(Sendfile, SENDF_11_reading_is_paused_meanwhile_and_restored) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const File file(contents_of(4 << 20));
        for (const bool was_reading : {true, false}) {
            Peer peer;
            if (!was_reading) peer.transport->pause_reading();
            Task<std::size_t> task = create_task(loop.sendfile(*peer.transport, file.fd.get()));
            co_await sleep(0s);
            EXPECT_FALSE(peer.transport->is_reading());
            if (was_reading) {
                (void)co_await receive_all(peer.raw, 4 << 20);
                (void)co_await task;
            } else {
                task.cancel();
                (void)co_await as_outcome(std::move(task));
            }
            EXPECT_EQ(peer.transport->is_reading(), was_reading);
            peer.writer.write("and on");
            std::string last;
            auto there = [&] {
                last += raw_receive(peer.raw);
                return last.ends_with("and on");
            };
            EXPECT_TRUE(co_await until(there));
            peer.writer.close();
            co_await peer.writer.wait_closed();
        }
    });
}

TEST(Sendfile, SENDF_11_the_end_of_the_stream_comes_after_the_file_and_reading_goes_on) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const std::string contents = contents_of(4 << 20);
        const File file(contents);
        Peer peer;
        Task<std::size_t> task = create_task(loop.sendfile(*peer.transport, file.fd.get()));
        co_await sleep(0s);
        peer.writer.write_eof();
        co_await sleep(0s);
        const std::string received = co_await receive_all(peer.raw, contents.size());
        EXPECT_TRUE(received == contents);
        const std::size_t sent = co_await task;
        EXPECT_EQ(sent, contents.size());
        auto ended = [&] { return raw_ended(peer.raw); };
        EXPECT_TRUE(co_await until(ended));
        raw_send(peer.raw, "answer");
        const std::string answer = co_await wait_for(peer.reader.readexactly(6), 10s);
        EXPECT_EQ(answer, "answer");
        EXPECT_THROW(peer.writer.write("more"), std::logic_error);
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(Sendfile, SENDF_11_the_end_of_the_stream_comes_after_a_file_that_had_to_be_read) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        // The system sends nothing out of this one, but reads it.
        const Fd unsendable(::open("/proc/self/environ", O_RDONLY | O_CLOEXEC));
        std::string contents(1 << 20, '\0');
        contents.resize(static_cast<std::size_t>(
            ::pread(unsendable.get(), contents.data(), contents.size(), 0)));
        EXPECT_FALSE(contents.empty());
        SendfileOptions natively;
        natively.fallback = false;
        Peer peer;
        const auto refused =
            co_await as_outcome(loop.sendfile(*peer.transport, unsendable.get(), natively));
        EXPECT_NE(error_of(refused).find("os.sendfile call failed"), std::string::npos);
        const std::string before(4 << 20, 'b');
        peer.writer.write(before);
        Task<std::size_t> task = create_task(loop.sendfile(*peer.transport, unsendable.get()));
        co_await sleep(0s);
        EXPECT_FALSE(task.done());  // waits until what was written is out
        peer.writer.write_eof();
        const std::string all = co_await receive_all(peer.raw, before.size() + contents.size());
        EXPECT_TRUE(all == before + contents);
        const std::size_t sent = co_await task;
        EXPECT_EQ(sent, contents.size());
        auto ended = [&] { return raw_ended(peer.raw); };
        EXPECT_TRUE(co_await until(ended));
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(Sendfile, SENDF_09_other_transports_write_the_file_at_the_readers_pace) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const std::string contents = contents_of(2 << 20);
        const File file(contents);
        int ends[2] = {-1, -1};
        EXPECT_EQ(os::make_pipe(ends[0], ends[1]), 0);
        const Fd reading(ends[0]);
        struct Quiet final : Protocol {};
        auto both =
            co_await loop.connect_write_pipe([] { return std::make_unique<Quiet>(); }, ends[1]);
        Transport& transport = *both.first;
        Task<std::size_t> task = create_task(loop.sendfile(transport, file.fd.get()));
        std::string all;
        std::size_t most = 0;
        auto done = [&] {
            most = std::max(most, transport.get_write_buffer_size());
            char block[65536];
            const ssize_t count = ::read(reading.get(), block, sizeof block);
            if (count > 0) all.append(block, static_cast<std::size_t>(count));
            return all.size() == contents.size();
        };
        EXPECT_TRUE(co_await until(done));
        const std::size_t sent = co_await task;
        EXPECT_EQ(sent, contents.size());
        EXPECT_TRUE(all == contents);
        EXPECT_LE(most, 65536u + 16384u);
        transport.close();
    });
}

TEST(Sendfile, the_loop_may_close_under_it) {
    const File file(contents_of(4 << 20));
    const int before = open_descriptors();
    {
        EventLoop loop;
        auto use = [&]() -> Coro<> {
            Peer peer;
            get_running_loop().call_soon(
                [] { get_running_loop().call_soon([] { get_running_loop().stop(); }); });
            (void)co_await get_running_loop().sendfile(*peer.transport, file.fd.get());
        };
        EXPECT_THROW(loop.run_until_complete(use()), std::logic_error);
        loop.close();
    }
    EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace asyncio
