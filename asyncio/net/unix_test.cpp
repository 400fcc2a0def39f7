// SPDX-License-Identifier: MIT
//
// Unix sockets: what is different from TCP. Files and abstract names, stale ones and those of
// others, permissions, credentials, a full queue.
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/server.hpp>
#include <asyncio/net/transport_socket.hpp>
#include <asyncio/task/wait_for.hpp>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

/// A directory for socket files, gone at the end with all that is in it.
class Directory {
  public:
    Directory() { EXPECT_NE(::mkdtemp(name_.data()), nullptr); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() {
        for (const char* file : {"a.sock", "b.sock", "file"}) ::unlink(path(file).c_str());
        ::rmdir(name_.c_str());
    }
    std::string path(const char* file) const { return name_ + "/" + file; }

  private:
    std::string name_ = "/tmp/asyncio-unix-XXXXXX";
};

bool exists(const std::string& path) {
    struct stat status = {};
    return ::lstat(path.c_str(), &status) == 0;
}

std::string abstract_name() {
    static int number = 0;
    return std::string(1, '\0') + "asyncio-test-" + std::to_string(::getpid()) + "-" +
           std::to_string(++number);
}

Coro<std::string> ask(std::string path, std::string question) {
    auto streams = co_await open_unix_connection(path);
    streams.second.write(question);
    const std::string answer = co_await streams.first.readexactly(question.size());
    streams.second.close();
    co_await streams.second.wait_closed();
    co_return answer;
}

TEST(Unix, SRV_26_the_socket_file_goes_with_the_server) {
    testing::run([]() -> Coro<> {
        const Directory directory;
        const std::string path = directory.path("a.sock");
        Server server = co_await start_unix_server(echo, path);
        EXPECT_EQ(server.sockets().at(0).getsockname().to_string(), path);
        EXPECT_EQ(server.sockets().at(0).family(), AF_UNIX);
        const std::string answer = co_await ask(path, "hello");
        EXPECT_EQ(answer, "hello");
        EXPECT_TRUE(exists(path));
        co_await end(server);
        EXPECT_FALSE(exists(path));
    });
}

TEST(Unix, SRV_26_a_replaced_or_missing_file_is_left_alone) {
    testing::run([]() -> Coro<> {
        const Directory directory;
        const std::string path = directory.path("a.sock");
        Server first = co_await start_unix_server(echo, path);
        Server second = co_await start_unix_server(echo, path);
        co_await end(first);
        EXPECT_TRUE(exists(path));  // the second's
        ::unlink(path.c_str());
        co_await end(second);
        EXPECT_FALSE(exists(path));
    });
}

TEST(Unix, SRV_26_cleaning_up_can_be_switched_off) {
    testing::run([]() -> Coro<> {
        const Directory directory;
        const std::string path = directory.path("a.sock");
        Server server = co_await start_unix_server(echo, path, {.cleanup_socket = false});
        co_await end(server);
        EXPECT_TRUE(exists(path));
    });
}

TEST(Unix, SRV_25_a_stale_file_is_replaced_another_file_is_not) {
    testing::run([]() -> Coro<> {
        const Directory directory;
        const std::string path = directory.path("a.sock");
        {
            Server dead = co_await start_unix_server(echo, path, {.cleanup_socket = false});
            co_await end(dead);
        }
        Server server = co_await start_unix_server(echo, path);
        const std::string answer = co_await ask(path, "again");
        EXPECT_EQ(answer, "again");
        co_await end(server);

        const std::string file = directory.path("file");
        const Fd regular(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        const int before = open_descriptors();
        const auto outcome = co_await as_outcome(start_unix_server(echo, file));
        EXPECT_EQ(error_of(outcome),
                  "std::system_error: bind on unix socket " + file + ": Address already in use");
        EXPECT_TRUE(exists(file));
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(Unix, SRV_27_abstract_names_have_no_file) {
    testing::run([]() -> Coro<> {
        const std::string name = abstract_name();
        Server server = co_await start_unix_server(echo, name);
        EXPECT_EQ(server.sockets().at(0).getsockname().to_string(), "@" + name.substr(1));
        const std::string answer = co_await ask(name, "abstract");
        EXPECT_EQ(answer, "abstract");
        const auto again = co_await as_outcome(start_unix_server(echo, name));
        EXPECT_EQ(error_of(again), "std::system_error: bind on unix socket @" + name.substr(1) +
                                       ": Address already in use");
        co_await end(server);
    });
}

TEST(Unix, the_file_has_the_wanted_permissions_from_the_first_moment) {
    testing::run([]() -> Coro<> {
        const Directory directory;
        const std::string path = directory.path("a.sock");
        for (const int wanted : {0600, 0666, 0000}) {
            Server server = co_await start_unix_server(echo, path, {.permissions = wanted});
            struct stat status = {};
            EXPECT_EQ(::stat(path.c_str(), &status), 0);
            EXPECT_EQ(status.st_mode & 0777, static_cast<unsigned>(wanted));
            co_await end(server);
        }
    });
}

TEST(Unix, CONN_15_SRV_17_path_and_sock_exclude_each_other) {
    testing::run([]() -> Coro<> {
        const auto neither = co_await as_outcome(start_unix_server(echo, ServerOptions()));
        EXPECT_EQ(error_of(neither),
                  "std::invalid_argument: path was not specified, and no sock specified");
        EXPECT_THROW((void)open_unix_connection(ConnectOptions()), std::invalid_argument);
        EXPECT_THROW((void)open_unix_connection("x", {.local_addr = {"::1", 1}}),
                     std::invalid_argument);
        const Fd inet(os::stream_socket(AF_INET));
        ConnectOptions options;
        options.sock = inet.get();
        EXPECT_THROW((void)open_unix_connection("x", options), std::invalid_argument);
        const auto wrong = co_await as_outcome(open_unix_connection(options));
        EXPECT_EQ(error_of(wrong),
                  "std::invalid_argument: A UNIX Domain Stream Socket was expected");
        const auto both = co_await as_outcome(start_unix_server(echo, "x", {.sock = inet.get()}));
        EXPECT_EQ(error_of(both),
                  "std::invalid_argument: path and sock can not be specified at the same time");
        const auto family = co_await as_outcome(start_unix_server(echo, {.sock = inet.get()}));
        EXPECT_EQ(error_of(family),
                  "std::invalid_argument: A UNIX Domain Stream Socket was expected");
        EXPECT_GE(::fcntl(inet.get(), F_GETFD), 0);  // still ours
    });
}

TEST(Unix, CONN_15_paths_that_cannot_be_are_refused) {
    testing::run([]() -> Coro<> {
        const std::string too_long(108, 'x');
        const std::string just_right(107, 'x');
        const auto empty = co_await as_outcome(open_unix_connection(""));
        const auto longer = co_await as_outcome(open_unix_connection(too_long));
        const auto server = co_await as_outcome(start_unix_server(echo, too_long));
        const auto nobody = co_await as_outcome(open_unix_connection(just_right));
        EXPECT_EQ(error_of(empty), "std::invalid_argument: unix socket path is empty");
        EXPECT_EQ(error_of(longer), "std::invalid_argument: unix socket path is too long");
        EXPECT_EQ(error_of(server), "std::invalid_argument: unix socket path is too long");
        EXPECT_EQ(error_of(nobody),
                  "std::system_error: connect " + just_right + ": No such file or directory");
    });
}

TEST(Unix, CONN_15_SRV_17_sockets_made_elsewhere_are_taken_over) {
    testing::run([]() -> Coro<> {
        const std::string name = abstract_name();
        Fd listening(os::stream_socket(AF_UNIX));
        os::bind(listening.get(), SocketAddress::unix_path(name));
        Server server = co_await start_unix_server(echo, {.sock = listening.release()});
        Fd connecting(os::stream_socket(AF_UNIX));
        EXPECT_EQ(os::connect(connecting.get(), SocketAddress::unix_path(name)), 0);
        ConnectOptions options;
        options.sock = connecting.release();
        auto streams = co_await open_unix_connection(options);
        streams.second.write("x");
        const std::string answer = co_await streams.first.readexactly(1);
        EXPECT_EQ(answer, "x");
        streams.second.close();
        co_await end(server);
    });
}

TEST(Unix, WR_14_the_peers_credentials_and_options_are_known) {
    testing::run([]() -> Coro<> {
        const std::string name = abstract_name();
        PeerCredentials seen;
        auto handler = [&](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            seen = writer.socket().peer_credentials();
            (void)co_await reader.read();
        };
        Server server = co_await start_unix_server(handler, name);
        auto streams = co_await open_unix_connection(name);
        auto known = [&] { return seen.pid >= 0; };
        EXPECT_TRUE(co_await until(known));
        EXPECT_EQ(seen, (PeerCredentials{::getpid(), ::getuid(), ::getgid()}));
        const TransportSocket socket = streams.second.socket();
        EXPECT_EQ(socket.getpeername().host(), name);
        EXPECT_GT(socket.getsockopt(os::SocketOption::send_buffer), 0);
        EXPECT_EQ(socket.getsockopt(SOL_SOCKET, SO_TYPE), SOCK_STREAM);
        EXPECT_EQ(streams.second.peername().host(), name);
        streams.second.close();
        co_await streams.second.wait_closed();
        EXPECT_THROW((void)streams.second.socket().getsockname(), std::system_error);
        co_await end(server);
    });
}

TEST(Unix, a_connect_waits_for_room_in_the_servers_queue) {
    testing::run([]() -> Coro<> {
        const std::string name = abstract_name();
        const Fd listening(os::stream_socket(AF_UNIX));
        os::bind(listening.get(), SocketAddress::unix_path(name));
        os::listen(listening.get(), 0);
        auto first = co_await open_unix_connection(name);  // the queue is full with it
        Task<std::pair<StreamReader, StreamWriter>> waits = create_task(open_unix_connection(name));
        Task<std::pair<StreamReader, StreamWriter>> gives_up =
            create_task(open_unix_connection(name));
        for (int i = 0; i < 20; ++i) co_await sleep(0s);
        EXPECT_FALSE(waits.done());
        gives_up.cancel();
        const auto cancelled = co_await as_outcome(gives_up);
        EXPECT_TRUE(cancelled.cancelled());
        Fd one(os::try_accept(listening.get()));
        auto& second = co_await waits;
        Fd two(os::try_accept(listening.get()));
        EXPECT_TRUE(one);
        EXPECT_TRUE(two);
        first.second.close();
        second.second.close();
    });
}

TEST(Unix, a_peer_that_never_reads_costs_the_high_water_mark_and_one_write) {
    testing::run([]() -> Coro<> {
        const std::string name = abstract_name();
        const Fd listening(os::stream_socket(AF_UNIX));
        os::bind(listening.get(), SocketAddress::unix_path(name));
        os::listen(listening.get(), 1);
        auto streams = co_await open_unix_connection(name);
        StreamWriter& writer = streams.second;
        std::size_t written = 0;
        std::size_t most = 0;
        auto write = [&]() -> Coro<> {
            const std::string chunk(1 << 20, 'x');
            const std::vector<std::string_view> lines(16, std::string_view(chunk).substr(0, 65536));
            for (bool gathered = false; written < (1u << 30); gathered = !gathered) {
                if (gathered)
                    writer.writelines(lines);
                else
                    writer.write(chunk);
                written += chunk.size();
                most = std::max(most, writer.write_buffer_size());
                co_await writer.drain();
            }
        };
        const auto outcome = co_await as_outcome(wait_for(write(), 1h));
        EXPECT_FALSE(outcome);
        EXPECT_LE(most, net::SocketTransport::kHighWater + (1u << 20));
        EXPECT_LT(written, 64u << 20);  // the rest is in the system's buffers
        writer.abort();
    });
}

TEST(Unix, large_data_survives_a_peer_that_reads_slowly) {
    testing::run([]() -> Coro<> {
        const std::string name = abstract_name();
        Server server = co_await start_unix_server(echo, name);
        auto streams = co_await open_unix_connection(name);
        std::string sent(4 << 20, '\0');
        for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 31 >> 3);
        streams.second.write(sent);
        streams.second.write_eof();
        const std::string received = co_await streams.first.read();
        EXPECT_TRUE(received == sent);
        streams.second.close();
        co_await end(server);
    });
}

}  // namespace
}  // namespace asyncio
