// SPDX-License-Identifier: MIT
//
// loop.sendfile() over TLS that OpenSSL encrypts: the file is read and written, at the pace of who
// takes it. The wire is memory whose system takes nothing until it is told to.
#include <asyncio/asyncio.hpp>
#include <asyncio/net/protocol_fixture_test.hpp>
#include <asyncio/net/sendfile.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

namespace asyncio::tls_tests {
namespace {

using net_tests::open_descriptors;
using net_tests::port_of;
using net_tests::Recorder;
using net_tests::Told;
using ::testing::HasSubstr;

constexpr std::size_t kSize = 3 << 20;

/// A file, and a connection whose server sends it.
struct Sending {
    Sending() : contents(kSize, '\0'), file(::memfd_create("asyncio", MFD_CLOEXEC)) {
        for (std::size_t i = 0; i < kSize; ++i) contents[i] = static_cast<char>('a' + i * 7 % 26);
        EXPECT_EQ(::write(file.get(), contents.data(), kSize), static_cast<ssize_t>(kSize));
    }

    stream::Transport& transport() const { return both.server.layer->transport(); }
    /// Begin, and come to where nobody takes what was written.
    Coro<> begin() {
        co_await both.shake_hands();
        both.server.below->stuck = true;
        task = create_task(get_running_loop().sendfile(transport(), file.get()));
        co_await sleep(1s);
        EXPECT_FALSE(task.done());
    }
    /// What the sending comes to, now.
    Coro<std::string> end_at_once() {
        const TimePoint begin = now();
        const std::string end = co_await end_of(std::move(task));
        EXPECT_EQ(now(), begin);
        co_return end;
    }
    std::size_t accepted() const {
        return static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_CUR));
    }

    std::string contents;
    os::Fd file;
    Connection both;
    Task<std::size_t> task;
};

TEST(TlsSendfile, SENDF_10_closing_ends_it_at_once_and_what_was_accepted_arrives) {
    testing::run([]() -> Coro<> {
        Sending sending;
        co_await sending.begin();
        sending.transport().close();
        const std::string end = co_await sending.end_at_once();
        EXPECT_THAT(end, HasSubstr("sendfile: the transport was closed"));
        EXPECT_GT(sending.accepted(), 0u);
        EXPECT_LT(sending.accepted(), kSize);
        sending.both.server.below->unstick();
        const std::string got = co_await sending.both.client.reader().read();  // with a goodbye
        EXPECT_TRUE(got == sending.contents.substr(0, sending.accepted())) << got.size();
        sending.both.client.writer().close();
        co_await sending.both.client.writer().wait_closed();
        co_await sending.both.server.writer().wait_closed();
    });
}

TEST(TlsSendfile, a_second_file_is_refused_while_one_is_sent) {
    testing::run([]() -> Coro<> {
        Sending sending;
        co_await sending.begin();
        const os::Fd other(::memfd_create("other", MFD_CLOEXEC));
        EXPECT_EQ(::write(other.get(), "other", 5), 5);
        Task<std::size_t> second =
            create_task(get_running_loop().sendfile(sending.transport(), other.get()));
        EXPECT_THAT(co_await end_of(std::move(second)), HasSubstr("sendfile is in progress"));
        EXPECT_FALSE(sending.task.done());
        sending.both.server.below->unstick();
        const std::string got = co_await sending.both.client.reader().readexactly(kSize);
        EXPECT_TRUE(got == sending.contents);
        EXPECT_EQ(co_await sending.task, kSize);
        sending.both.client.writer().close();
        sending.both.server.writer().close();
        co_await sending.both.client.writer().wait_closed();
        co_await sending.both.server.writer().wait_closed();
    });
}

TEST(TlsSendfile, SENDF_10_aborting_ends_it_at_once) {
    testing::run([]() -> Coro<> {
        Sending sending;
        co_await sending.begin();
        sending.transport().abort();
        const std::string end = co_await sending.end_at_once();
        EXPECT_THAT(end, HasSubstr("sendfile: the transport was closed"));
        co_await sending.both.server.writer().wait_closed();
        EXPECT_FALSE(co_await as_outcome(sending.both.client.reader().read()));
    });
}

TEST(TlsSendfile, SENDF_10_a_reset_of_the_peer_ends_it) {
    testing::run([]() -> Coro<> {
        Sending sending;
        co_await sending.begin();
        MemoryTransport& peer = *sending.both.client.below;
        peer.attack = {Attack::Kind::reset, peer.sent};
        sending.both.client.writer().write("x");
        const std::string end = co_await sending.end_at_once();
        EXPECT_THAT(end, HasSubstr("Connection reset by peer"));
        EXPECT_TRUE(sending.transport().is_closing());
        sending.both.client.writer().abort();
        co_await sleep(1s);
    });
}

TEST(TlsSendfile, SENDF_05_cancelled_it_leaves_a_connection_that_goes_on) {
    testing::run([]() -> Coro<> {
        Sending sending;
        co_await sending.begin();
        sending.task.cancel();
        EXPECT_EQ(co_await sending.end_at_once(), "cancelled");
        EXPECT_EQ(sending.transport().get_protocol(), sending.both.server.core.get());
        sending.both.server.writer().write("END");
        sending.both.server.below->unstick();
        const std::string got =
            co_await sending.both.client.reader().readexactly(sending.accepted() + 3);
        EXPECT_TRUE(got == sending.contents.substr(0, sending.accepted()) + "END");
        sending.both.client.writer().close();
        co_await sending.both.client.writer().wait_closed();
    });
}

TEST(TlsSendfile, SENDF_11_it_goes_on_under_another_protocol) {
    testing::run([]() -> Coro<> {
        Sending sending;
        co_await sending.begin();
        Told told;
        const Ref<Recorder> next(new Recorder(told));
        sending.transport().set_protocol(next);
        co_await sleep(1s);
        EXPECT_FALSE(sending.task.done());
        EXPECT_LE(sending.transport().get_write_buffer_size(), kSize / 4);
        const auto reads = create_task(sending.both.client.reader().readexactly(kSize));
        sending.both.server.below->unstick();
        const std::size_t sent = co_await wait_for(std::move(sending.task), 10s);
        EXPECT_EQ(sent, kSize);
        EXPECT_TRUE(co_await reads == sending.contents);
        EXPECT_EQ(sending.transport().get_protocol(), next.get());
        EXPECT_TRUE(sending.transport().is_reading());
        sending.both.client.writer().write("answer");
        co_await sleep(1s);
        EXPECT_EQ(told.data, "answer");
        sending.transport().close();
        co_await sleep(1s);
        EXPECT_TRUE(told.lost());
    });
}

TEST(TlsSendfile, SENDF_11_it_goes_on_though_the_protocol_that_was_there_is_kept_for_later) {
    testing::run([]() -> Coro<> {
        Sending sending;
        co_await sending.begin();
        stream::Transport& transport = sending.transport();
        const Ref<stream::Protocol> before(transport.get_protocol());
        Told told;
        transport.set_protocol(Ref<stream::Protocol>(new Recorder(told)));
        const auto reads = create_task(sending.both.client.reader().readexactly(kSize));
        sending.both.server.below->unstick();
        EXPECT_EQ(co_await end_of(wait_for(std::move(sending.task), 10s)), "ok");
        const auto got = co_await as_outcome(wait_for(reads, 10s));
        EXPECT_TRUE(got && *got == sending.contents);
        transport.set_protocol(before);
        const os::Fd other(::memfd_create("other", MFD_CLOEXEC));
        EXPECT_EQ(::write(other.get(), "other", 5), 5);
        Task<std::size_t> next = create_task(get_running_loop().sendfile(transport, other.get()));
        EXPECT_EQ(co_await end_of(std::move(next)), "ok");
        transport.write(".");
        const std::string rest = co_await sending.both.client.reader().readuntil(".");
        EXPECT_THAT(rest, ::testing::EndsWith("other."));
        sending.both.client.writer().close();
        sending.both.server.writer().close();
        co_await sending.both.client.writer().wait_closed();
        co_await sending.both.server.writer().wait_closed();
    });
}

TEST(TlsSendfile, SENDF_09_it_waits_with_who_was_paused_before) {
    testing::run([]() -> Coro<> {
        Sending sending;
        co_await sending.both.shake_hands();
        sending.both.server.below->stuck = true;
        stream::Transport& transport = sending.transport();
        transport.write(std::string(100'000, 'b'));
        transport.set_write_buffer_limits(50'000, 10'000);   // pauses
        transport.set_write_buffer_limits(400'000, 10'000);  // does not resume
        sending.task = create_task(get_running_loop().sendfile(transport, sending.file.get()));
        co_await sleep(1s);
        EXPECT_LE(transport.get_write_buffer_size(), 450'000u);
        sending.both.server.below->unstick();
        const std::string got = co_await sending.both.client.reader().readexactly(100'000 + kSize);
        EXPECT_TRUE(got.substr(100'000) == sending.contents);
        const std::size_t sent = co_await sending.task;
        EXPECT_EQ(sent, kSize);
        sending.both.client.writer().close();
        co_await sending.both.client.writer().wait_closed();
    });
}

enum class End { close, abort, reset };

/// To a client that reads nothing until it is told to, more than the sockets take.
Coro<> expect_end_over_sockets(End end) {
    const SSLContext ours = server_context();
    const SSLContext theirs = client_context();
    Event waits;
    Event ended;
    off_t accepted = 0;
    const auto serve = [&](StreamReader, StreamWriter writer) -> Coro<> {
        const os::Fd file(::memfd_create("asyncio", MFD_CLOEXEC));
        EXPECT_EQ(::ftruncate(file.get(), 1 << 28), 0);
        Transport& transport = *writer.transport();
        Task<std::size_t> task = create_task(get_running_loop().sendfile(transport, file.get()));
        const std::size_t high = transport.get_write_buffer_limits().high;
        const auto full = [&] { return transport.get_write_buffer_size() > high; };
        EXPECT_TRUE(co_await net_tests::until(full));
        waits.set();
        if (end == End::close) transport.close();
        if (end == End::abort) transport.abort();
        const std::string text = co_await end_of(wait_for(std::move(task), 10s));
        EXPECT_THAT(text, HasSubstr(end == End::reset ? "std::system_error"
                                                      : "sendfile: the transport was closed"));
        accepted = ::lseek(file.get(), 0, SEEK_CUR);
        ended.set();
        (void)co_await as_outcome(writer.wait_closed());
    };
    Server server = co_await start_server(serve, "127.0.0.1", 0, {.ssl = &ours});
    auto [reader, writer] = co_await open_connection(
        "127.0.0.1", port_of(server), {.ssl = &theirs, .server_hostname = "localhost"});
    writer.transport()->pause_reading();
    co_await waits.wait();
    if (end == End::reset) writer.abort();  // with what it has not read
    co_await ended.wait();
    if (end == End::close) {
        writer.transport()->resume_reading();
        const std::string got = co_await reader.read();  // with a goodbye
        EXPECT_EQ(static_cast<off_t>(got.size()), accepted);
    }
    writer.abort();
    server.close();
    co_await server.wait_closed();
}

TEST(TlsSendfile, SENDF_10_over_sockets_whatever_ends_the_connection_ends_it) {
    for (const End end : {End::close, End::abort, End::reset})
        run([end]() -> Coro<> { co_await expect_end_over_sockets(end); });
}

TEST(TlsSendfile, the_loop_may_close_under_it) {
    testing::LogLines lines;
    const int before = open_descriptors();
    {
        EventLoop loop;
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        const auto use = [&]() -> Coro<> {
            const auto serve = [](StreamReader, StreamWriter writer) -> Coro<> {
                const os::Fd file(::memfd_create("asyncio", MFD_CLOEXEC));
                EXPECT_EQ(::ftruncate(file.get(), 64 << 20), 0);
                (void)co_await get_running_loop().sendfile(*writer.transport(), file.get());
            };
            Server server = co_await start_server(serve, "127.0.0.1", 0, {.ssl = &ours});
            auto [reader, writer] = co_await open_connection(
                "127.0.0.1", port_of(server), {.ssl = &theirs, .server_hostname = "localhost"});
            (void)co_await reader.readexactly(1);
            writer.transport()->pause_reading();
            get_running_loop().call_soon([] { get_running_loop().stop(); });
            co_await Event().wait();
        };
        EXPECT_THROW(loop.run_until_complete(use()), std::logic_error);
        loop.close();
    }
    EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace asyncio::tls_tests
