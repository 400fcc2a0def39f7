// SPDX-License-Identifier: MIT
//
// Our clients against other people's servers: socat, nc and Python's asyncio, over TCP, unix
// sockets and UDP. (Our servers against other people's clients: interop_test.py; TLS:
// tls_interop_test.py.) What is not installed is skipped.
#include <asyncio/asyncio.hpp>
#include <asyncio/net/net_fixture_test.hpp>

#include <cstdlib>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

constexpr auto kDeadline = 20s;

bool installed(std::string_view program) {
    for (const std::string folder : {"/usr/bin/", "/bin/", "/usr/local/bin/"})
        if (::access((folder + std::string(program)).c_str(), X_OK) == 0) return true;
    return false;
}

#define ASYNCIO_NEEDS(program) \
    if (!installed(program)) GTEST_SKIP() << program << " is not installed"

struct Folder {
    Folder() { EXPECT_NE(::mkdtemp(path.data()), nullptr); }
    ~Folder() { (void)std::system(("rm -r " + path).c_str()); }
    std::string path = "/tmp/asyncio-peers-XXXXXX";
};

using Streams = std::pair<StreamReader, StreamWriter>;

/// Streams to a server that is about to listen.
template <class Connect>
Coro<Streams> connect_patiently(Connect connect) {
    for (;;) {
        auto outcome = co_await as_outcome(connect());
        if (outcome) co_return outcome.take();
        co_await sleep(20ms);  // deadline: the caller's
    }
}

/// A server that echoes until the end of our stream.
Coro<> expect_echo(StreamReader reader, StreamWriter writer) {
    const std::string text = std::string(300'000, 'x') + "\nhöflich\n";
    writer.write(text);
    writer.write_eof();
    const std::string answer = co_await reader.read();
    EXPECT_TRUE(answer == text) << answer.size();
    writer.close();
    co_await writer.wait_closed();
}

Coro<> expect_datagrams(std::uint16_t port) {
    DatagramOptions options;
    options.remote = {"127.0.0.1", port};
    const DatagramEndpoint endpoint = co_await open_datagram(options);
    std::string answer;
    while (answer.empty()) {  // until it listens: sent again, refusals are passed over
        (void)co_await as_outcome(endpoint.sendto("a datagram"));
        auto outcome = co_await as_outcome(wait_for(endpoint.recvfrom(), 100ms));
        if (outcome) answer = outcome->first;
    }
    EXPECT_EQ(answer, "a datagram");
    endpoint.close();
}

Coro<> stop(Process& process) {
    process.kill();
    (void)co_await process.wait();
}

/// A port that was free a moment ago, of any kind.
std::uint16_t free_port() { return RawListener().address.port(); }

void run_within_deadline(Coro<> (*main)()) {
    asyncio::run([](Coro<> (*given)()) -> Coro<> { co_await wait_for(given(), kDeadline); }(main));
}

TEST(Peers, socat_over_tcp) {
    ASYNCIO_NEEDS("socat");
    run_within_deadline([]() -> Coro<> {
        const std::uint16_t port = free_port();
        const std::string listen =
            "TCP-LISTEN:" + std::to_string(port) + ",bind=127.0.0.1,reuseaddr,fork";
        Process socat = co_await create_subprocess_exec("socat", listen, "EXEC:cat");
        auto [reader, writer] = co_await connect_patiently(
            [port]() -> Coro<Streams> { co_return co_await open_connection("127.0.0.1", port); });
        co_await expect_echo(std::move(reader), std::move(writer));
        co_await stop(socat);
    });
}

TEST(Peers, socat_over_unix_sockets) {
    ASYNCIO_NEEDS("socat");
    run_within_deadline([]() -> Coro<> {
        const Folder folder;
        const std::string path = folder.path + "/echo";
        Process socat =
            co_await create_subprocess_exec("socat", "UNIX-LISTEN:" + path + ",fork", "EXEC:cat");
        auto [reader, writer] = co_await connect_patiently(
            [&]() -> Coro<Streams> { co_return co_await open_unix_connection(path); });
        co_await expect_echo(std::move(reader), std::move(writer));
        co_await stop(socat);
    });
}

TEST(Peers, socat_over_udp) {
    ASYNCIO_NEEDS("socat");
    run_within_deadline([]() -> Coro<> {
        const std::uint16_t port = free_port();
        Process socat = co_await create_subprocess_exec(
            "socat", "UDP4-RECVFROM:" + std::to_string(port) + ",fork", "EXEC:cat");
        co_await expect_datagrams(port);
        co_await stop(socat);
    });
}

TEST(Peers, nc_as_a_server) {
    ASYNCIO_NEEDS("nc");
    run_within_deadline([]() -> Coro<> {
        const std::uint16_t port = free_port();
        SubprocessOptions options;
        options.stdin_ = options.stdout_ = PIPE;
        Process nc = co_await create_subprocess_exec(options, "nc", "-N", "-l", "127.0.0.1",
                                                     std::to_string(port));
        auto [reader, writer] = co_await connect_patiently(
            [port]() -> Coro<Streams> { co_return co_await open_connection("127.0.0.1", port); });
        nc.stdin_().write("from nc\n");
        nc.stdin_().close();
        const std::string got = co_await reader.read();
        EXPECT_EQ(got, "from nc\n");
        writer.write("to nc, which has ended its half\n");
        writer.close();
        co_await writer.wait_closed();
        const std::string printed = co_await nc.stdout_().read();
        EXPECT_EQ(printed, "to nc, which has ended its half\n");
        (void)co_await nc.wait();
    });
}

/// Prints a TCP and a UDP port and the path of a unix socket; echoes on all three.
constexpr std::string_view kPythonServers = R"(
import asyncio, sys
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, address): self.transport.sendto(data, address)
async def main():
    tcp = await asyncio.start_server(echo, "127.0.0.1", 0)
    unix = await asyncio.start_unix_server(echo, sys.argv[1])
    udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, ("127.0.0.1", 0))
    print(tcp.sockets[0].getsockname()[1], udp.get_extra_info("sockname")[1], flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
)";

TEST(Peers, pythons_asyncio_as_servers) {
    ASYNCIO_NEEDS("python3");
    run_within_deadline([]() -> Coro<> {
        const Folder folder;
        const std::string path = folder.path + "/echo";
        SubprocessOptions options;
        options.stdout_ = PIPE;
        Process python =
            co_await create_subprocess_exec(options, "python3", "-c", kPythonServers, path);
        const std::string ports = co_await python.stdout_().readline();
        int tcp = 0;
        int udp = 0;
        EXPECT_EQ(std::sscanf(ports.c_str(), "%d %d", &tcp, &udp), 2) << ports;
        auto over_tcp = co_await open_connection("127.0.0.1", static_cast<std::uint16_t>(tcp));
        co_await expect_echo(std::move(over_tcp.first), std::move(over_tcp.second));
        auto over_unix = co_await open_unix_connection(path);
        co_await expect_echo(std::move(over_unix.first), std::move(over_unix.second));
        co_await expect_datagrams(static_cast<std::uint16_t>(udp));
        co_await stop(python);
    });
}

}  // namespace
}  // namespace asyncio
