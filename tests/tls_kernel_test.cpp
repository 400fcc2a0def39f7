// SPDX-License-Identifier: MIT
//
// SSLContext::enable_ktls over real sockets. Where the system has TLS, the kernel encrypts; where
// it has none, all is as without. Every test holds in both cases and checks which one it is.
// (tests/proof/g01_linux_6_1.py runs them on a system that has it.)
#include <asyncio/asyncio.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/sendfile.hpp>
#include <asyncio/os/kernel_tls.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdlib.h>
#include <unistd.h>

namespace asyncio::tls_tests {
namespace {

using net_tests::echo;
using net_tests::port_of;
using ::testing::HasSubstr;

bool kernel_sends(const StreamWriter& writer) { return writer.ssl()->ktls_send(); }

std::string contents_of(std::size_t size) {
    std::string contents(size, '\0');
    for (std::size_t i = 0; i < size; ++i) contents[i] = static_cast<char>('a' + i * 7 % 26);
    return contents;
}

/// A file without a name.
os::Fd file_of(const std::string& contents) {
    std::string path = "/tmp/asyncio-ktls-XXXXXX";
    os::Fd fd(::mkstemp(path.data()));
    ::unlink(path.c_str());
    EXPECT_EQ(::write(fd.get(), contents.data(), contents.size()),
              static_cast<ssize_t>(contents.size()));
    return fd;
}

/// A server of TLS that does `serve` with each client; a client of it.
template <class F, class U>
Coro<> with_server(F serve, U use) {
    const SSLContext ours = offered(server_context());
    const SSLContext theirs = client_context();
    Server server = co_await start_server(std::move(serve), "127.0.0.1", 0, {.ssl = &ours});
    co_await use(port_of(server), theirs);
    server.close();
    co_await server.wait_closed();
}

struct Client {
    StreamReader reader;
    StreamWriter writer;
};

Coro<Client> connect(std::uint16_t port, const SSLContext& ctx) {
    auto [reader, writer] =
        co_await open_connection("127.0.0.1", port, {.ssl = &ctx, .server_hostname = "localhost"});
    co_return Client{std::move(reader), std::move(writer)};
}

/// All that comes until the clean end.
Coro<> expect_all(std::uint16_t port, const SSLContext& ctx, std::string wanted) {
    Client client = co_await connect(port, ctx);
    const std::string got = co_await client.reader.read();
    EXPECT_TRUE(got == wanted) << got.size() << " of " << wanted.size();
    client.writer.close();
    co_await client.writer.wait_closed();
}

TEST(KernelTlsSocket, both_ends_talk) {
    run([]() -> Coro<> {
        co_await with_server(echo, [](std::uint16_t port, const SSLContext&) -> Coro<> {
            const SSLContext ctx = offered(client_context());
            for (const std::size_t size : {1, 16384, 100'000, 5'000'000}) {
                Client client = co_await connect(port, ctx);
                EXPECT_EQ(kernel_sends(client.writer), os::has_kernel_tls());
                const std::string text = contents_of(size);
                client.writer.write(text);
                const std::string answer = co_await client.reader.readexactly(size);
                EXPECT_TRUE(answer == text) << size;
                client.writer.close();
                co_await client.writer.wait_closed();
            }
        });
    });
}

TEST(KernelTlsSocket, many_writes_and_lines_arrive_in_order) {
    run([]() -> Coro<> {
        const auto serve = [](StreamReader, StreamWriter writer) -> Coro<> {
            const std::string line = contents_of(1000);
            const std::string_view lines[] = {line, "\n", line};
            for (int i = 0; i < 2000; ++i) {
                writer.write("head");
                writer.writelines(lines);
                if (i % 100 == 0) co_await writer.drain();
            }
            writer.close();
            co_await writer.wait_closed();
        };
        co_await with_server(serve, [](std::uint16_t port, const SSLContext& ctx) -> Coro<> {
            const std::string line = contents_of(1000);
            std::string wanted;
            for (int i = 0; i < 2000; ++i) wanted += "head" + line + "\n" + line;
            co_await expect_all(port, ctx, wanted);
        });
    });
}

TEST(KernelTlsSocket, the_goodbye_comes_behind_all_that_a_slow_reader_has_not_read) {
    run([]() -> Coro<> {
        const auto serve = [](StreamReader, StreamWriter writer) -> Coro<> {
            writer.write(contents_of(8'000'000));
            writer.close();
            co_await writer.wait_closed();
        };
        co_await with_server(serve, [](std::uint16_t port, const SSLContext& ctx) -> Coro<> {
            Client client = co_await connect(port, ctx);
            client.writer.transport()->pause_reading();
            co_await sleep(50ms);  // deadline: what the sockets take is full
            client.writer.transport()->resume_reading();
            const std::string got = co_await client.reader.read();
            EXPECT_TRUE(got == contents_of(8'000'000));
            client.writer.close();
            co_await client.writer.wait_closed();
        });
    });
}

TEST(KernelTlsSocket, a_file_is_sent_natively_between_what_is_written) {
    run([]() -> Coro<> {
        const auto serve = [](StreamReader, StreamWriter writer) -> Coro<> {
            const os::Fd file = file_of(contents_of(3'000'000));
            const bool native = kernel_sends(writer);
            writer.write("before");
            stream::Transport& transport = *writer.transport();
            const auto outcome = co_await as_outcome(get_running_loop().sendfile(
                transport, file.get(), {.offset = 17, .count = 2'500'000, .fallback = !native}));
            EXPECT_TRUE(outcome) << (outcome ? "" : describe(outcome.error()));
            writer.write("after");
            writer.close();
            co_await writer.wait_closed();
        };
        co_await with_server(serve, [](std::uint16_t port, const SSLContext& ctx) -> Coro<> {
            const std::string part = contents_of(3'000'000).substr(17, 2'500'000);
            co_await expect_all(port, ctx, "before" + part + "after");
        });
    });
}

TEST(KernelTlsSocket, without_it_a_file_cannot_be_sent_natively) {
    run([]() -> Coro<> {
        const auto serve = [](StreamReader, StreamWriter writer) -> Coro<> {
            const os::Fd file = file_of("contents");
            if (!kernel_sends(writer)) {
                EXPECT_THROW((void)co_await get_running_loop().sendfile(
                                 *writer.transport(), file.get(), {.fallback = false}),
                             std::logic_error);
            }
            writer.close();
            co_await writer.wait_closed();
        };
        co_await with_server(serve, [](std::uint16_t port, const SSLContext& ctx) -> Coro<> {
            co_await expect_all(port, ctx, "");
        });
    });
}

TEST(KernelTlsSocket, a_cancelled_file_leaves_a_connection_that_goes_on) {
    run([]() -> Coro<> {
        Event ended;
        const auto serve = [&ended](StreamReader reader, StreamWriter writer) -> Coro<> {
            const os::Fd file = file_of(contents_of(30'000'000));
            auto sending =
                create_task(get_running_loop().sendfile(*writer.transport(), file.get()));
            co_await sleep(20ms);  // some of it is sent; all cannot be, nobody reads
            EXPECT_FALSE(sending.done());
            sending.cancel();
            (void)co_await as_outcome(sending);
            ended.set();
            writer.write("END");
            const std::string heard = co_await reader.readexactly(2);
            EXPECT_EQ(heard, "ok");
            writer.close();
            co_await writer.wait_closed();
        };
        co_await with_server(serve, [&ended](std::uint16_t port, const SSLContext& ctx) -> Coro<> {
            Client client = co_await connect(port, ctx);
            client.writer.transport()->pause_reading();
            co_await ended.wait();
            client.writer.transport()->resume_reading();
            client.writer.write("ok");
            const std::string got = co_await client.reader.read();
            EXPECT_TRUE(got.ends_with("END"));
            EXPECT_TRUE(contents_of(30'000'000).starts_with(got.substr(0, got.size() - 3)));
            client.writer.close();
            co_await client.writer.wait_closed();
        });
    });
}

TEST(KernelTlsSocket, closing_under_a_file_that_nobody_takes_ends_it) {
    run([]() -> Coro<> {
        Event closed;
        const auto serve = [&closed](StreamReader, StreamWriter writer) -> Coro<> {
            const os::Fd file = file_of(contents_of(30'000'000));
            stream::Transport& transport = *writer.transport();
            auto sending = create_task(get_running_loop().sendfile(transport, file.get()));
            co_await sleep(20ms);  // some of it is sent; all cannot be, nobody reads
            EXPECT_FALSE(sending.done());
            transport.close();
            const std::string end = co_await end_of(wait_for(std::move(sending), 10s));
            EXPECT_THAT(end, HasSubstr("sendfile"));  // though nobody takes anything
            closed.set();
            (void)co_await as_outcome(writer.wait_closed());
        };
        co_await with_server(serve, [&closed](std::uint16_t port, const SSLContext& ctx) -> Coro<> {
            Client client = co_await connect(port, ctx);
            client.writer.transport()->pause_reading();
            co_await closed.wait();
            client.writer.transport()->resume_reading();
            const std::string got = co_await client.reader.read();  // with a goodbye
            EXPECT_TRUE(contents_of(30'000'000).starts_with(got));
            client.writer.close();
            co_await client.writer.wait_closed();
        });
    });
}

TEST(KernelTlsSocket, start_tls_on_a_connection_in_use) {
    run([]() -> Coro<> {
        const auto serve = [](StreamReader reader, StreamWriter writer) -> Coro<> {
            const SSLContext ctx = offered(server_context());
            const std::string line = co_await reader.readline();
            EXPECT_EQ(line, "STARTTLS\n");
            writer.write("go\n");
            co_await writer.start_tls(ctx);
            EXPECT_EQ(kernel_sends(writer), os::has_kernel_tls());
            writer.write(contents_of(200'000));
            writer.close();
            co_await writer.wait_closed();
        };
        Server server = co_await start_server(serve, "127.0.0.1", 0);
        auto [reader, writer] = co_await open_connection("127.0.0.1", port_of(server));
        writer.write("STARTTLS\n");
        const std::string go = co_await reader.readline();
        EXPECT_EQ(go, "go\n");
        const SSLContext ctx = offered(client_context());
        co_await writer.start_tls(ctx, {.server_hostname = "localhost"});
        EXPECT_EQ(kernel_sends(writer), os::has_kernel_tls());
        const std::string got = co_await reader.read();
        EXPECT_TRUE(got == contents_of(200'000));
        writer.close();
        co_await writer.wait_closed();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(KernelTlsSocket, sockets_that_are_not_TCP_do_without) {
    run([]() -> Coro<> {
        const std::string path = "/tmp/asyncio-ktls-" + std::to_string(::getpid());
        const SSLContext ours = offered(server_context());
        const SSLContext theirs = offered(client_context());
        Server server = co_await start_unix_server(echo, path, {.ssl = &ours});
        auto [reader, writer] =
            co_await open_unix_connection(path, {.ssl = &theirs, .server_hostname = "localhost"});
        EXPECT_FALSE(kernel_sends(writer));
        writer.write("hello");
        const std::string answer = co_await reader.readexactly(5);
        EXPECT_EQ(answer, "hello");
        writer.close();
        co_await writer.wait_closed();
        server.close();
        co_await server.wait_closed();
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
