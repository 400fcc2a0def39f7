// SPDX-License-Identifier: MIT
//
// Scenarios of connections, datagrams, pipes and name lookup.
#include <asyncio/net/resolve.hpp>

#include <memory>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "scenarios.hpp"

namespace asyncio::proof {
namespace {

using namespace std::chrono_literals;
using os::Fd;

Coro<> echo(StreamReader& reader, StreamWriter& writer) {
    for (;;) {
        const std::string data = co_await reader.read(4096);
        if (data.empty()) break;
        writer.write(data);
        co_await writer.drain();
    }
}

std::uint16_t port_of(const Server& server) { return server.sockets()[0].getsockname().port(); }

/// Close and wait: what is left of the clients goes, too.
Coro<> end(Server server) {
    server.close();
    server.abort_clients();
    co_await server.wait_closed();
}

Coro<> talk(StreamReader& reader, StreamWriter& writer, std::string text) {
    writer.write(text);
    co_await writer.drain();
    const std::string answer = co_await reader.readexactly(text.size());
    expect(answer == text, "the echo is what was sent");
    writer.write_eof();
    const std::string rest = co_await reader.read();
    expect(rest.empty(), "the stream ends");
    writer.close();
    co_await writer.wait_closed();
}

Coro<> tcp_echo() {
    Server server = co_await start_server(echo, "127.0.0.1", 0);
    co_await with_cleanup(
        [&]() -> Coro<> {
            auto [reader, writer] = co_await open_connection("127.0.0.1", port_of(server));
            co_await talk(reader, writer, "hello");
        },
        [&]() -> Coro<> { co_await end(server); });
}

Coro<> tcp_echo_of_much() {
    Server server = co_await start_server(echo, "127.0.0.1", 0);
    co_await with_cleanup(
        [&]() -> Coro<> {
            auto [reader, writer] = co_await open_connection("127.0.0.1", port_of(server));
            const std::string data(300'000, 'x');
            auto write = [&to = writer, &data]() -> Coro<> {
                for (int i = 0; i < 3; i++) {
                    to.write(data);
                    co_await to.drain();
                }
                to.write_eof();
            };
            auto read = [&from = reader]() -> Coro<std::size_t> {
                std::size_t size = 0;
                for (;;) {
                    const std::string part = co_await from.read(65536);
                    if (part.empty()) break;
                    size += part.size();
                }
                co_return size;
            };
            auto [nothing, size] = co_await gather(write(), read());
            if (size != 900'000) throw IncompleteReadError("", 900'000);
        },
        [&]() -> Coro<> { co_await end(server); });
}

Coro<> unix_echo() {
    const std::string path = path_of("echo.sock");
    Server server = co_await start_unix_server(echo, path);
    co_await with_cleanup(
        [&]() -> Coro<> {
            auto [reader, writer] = co_await open_unix_connection(path);
            co_await talk(reader, writer, "hello");
        },
        [&]() -> Coro<> { co_await end(server); });
}

Coro<> connect_refused() {
    Fd unused(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!unused) throw std::system_error(errno, std::generic_category(), "make a socket");
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(unused.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(unused.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw std::system_error(errno, std::generic_category(), "bind a socket");
    bool refused = false;
    try {
        (void)co_await open_connection("127.0.0.1", ntohs(address.sin_port));
    } catch (const std::system_error& error) {
        refused = error.code() == std::errc::connection_refused;
        if (!refused) throw;
    }
    expect(refused, "nobody listens");
}

Coro<> names() {
    Server server = co_await start_server(echo, "localhost", 0);
    co_await with_cleanup(
        [&]() -> Coro<> {
            auto [reader, writer] = co_await open_connection("localhost", port_of(server),
                                                             {.happy_eyeballs_delay = 250ms});
            co_await talk(reader, writer, "hello");
        },
        [&]() -> Coro<> { co_await end(server); });
}

/// Sends back what comes.
class Echo final : public Protocol {
  public:
    void connection_made(Transport& transport) override { transport_ = Ref<Transport>(&transport); }
    void data_received(std::span<const std::byte> data) override { transport_->write(data); }
    void connection_lost(std::exception_ptr) override { transport_ = {}; }

  private:
    Ref<Transport> transport_;
};

/// Sends a line and waits for it.
class Client final : public BufferedProtocol {
  public:
    explicit Client(Future<> done) : done_(std::move(done)) {}
    void connection_made(Transport& transport) override {
        transport_ = Ref<Transport>(&transport);
        transport.write("hello");
    }
    std::span<std::byte> get_buffer(std::ptrdiff_t) override { return memory_; }
    void buffer_updated(std::size_t count) override {
        received_ += count;
        if (received_ == 5) transport_->close();
    }
    void connection_lost(std::exception_ptr error) override {
        transport_ = {};
        if (done_.done()) return;
        if (error)
            done_.set_exception(error);
        else if (received_ != 5)
            done_.set_exception(std::make_exception_ptr(IncompleteReadError("", 5)));
        else
            done_.set_result();
    }

  private:
    Future<> done_;
    Ref<Transport> transport_;
    std::array<std::byte, 64> memory_ = {};
    std::size_t received_ = 0;
};

Coro<> protocols() {
    EventLoop& loop = get_running_loop();
    Server server =
        co_await loop.create_server([] { return std::make_unique<Echo>(); }, "127.0.0.1", 0);
    co_await with_cleanup(
        [&]() -> Coro<> {
            Future<> done = loop.create_future<void>();
            auto [transport, protocol] = co_await loop.create_connection(
                [&] { return std::make_unique<Client>(done); }, "127.0.0.1", port_of(server));
            co_await done;
        },
        [&]() -> Coro<> { co_await end(server); });
}

Coro<> udp_echo() {
    auto server = co_await open_datagram({.local = {"127.0.0.1", 0}});
    auto client = co_await open_datagram({.remote = {"127.0.0.1", server.sockname().port()}});
    for (int i = 0; i < 3; i++) {
        co_await client.sendto("ping");
        auto [bytes, from] = co_await server.recvfrom();
        expect(bytes == "ping", "the datagram arrives whole");
        co_await server.sendto(bytes, from);
        const auto answer = co_await client.recvfrom();
        expect(answer.first == "ping", "the answer arrives whole");
    }
    client.close();
    server.close();
    co_await client.wait_closed();
    co_await server.wait_closed();
}

/// Counts what comes; errors end the wait.
class Counter final : public DatagramProtocol {
  public:
    explicit Counter(Future<> done) : done_(std::move(done)) {}
    void datagram_received(std::span<const std::byte>, const SocketAddress&) override {
        if (!done_.done()) done_.set_result();
    }
    void error_received(std::exception_ptr error) override { fail(error); }
    void connection_lost(std::exception_ptr error) override {
        if (error) fail(error);
    }

  private:
    void fail(std::exception_ptr error) {
        if (!done_.done()) done_.set_exception(error);
    }
    Future<> done_;
};

Coro<> datagram_protocols() {
    EventLoop& loop = get_running_loop();
    Future<> done = loop.create_future<void>();
    auto [receiving, counter] = co_await loop.create_datagram_endpoint(
        [&] { return std::make_unique<Counter>(done); }, {.local = {"127.0.0.1", 0}});
    Future<> unused = loop.create_future<void>();
    auto [sending, other] = co_await loop.create_datagram_endpoint(
        [&] { return std::make_unique<Counter>(unused); },
        {.remote = {"127.0.0.1", receiving->sockname().port()}});
    sending->sendto("ping");
    // What fails is told to the sender's protocol.
    const std::vector<Future<>> futures{done, unused};
    auto first = co_await wait(futures, {.return_when = FIRST_COMPLETED});
    sending->close();
    receiving->close();
    co_await sleep(0s);
    for (auto& future : first.done) co_await future;
}

Fd stream_socket() {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) throw std::system_error(errno, std::generic_category(), "make a socket");
    return fd;
}

Coro<> sock_calls() {
    EventLoop& loop = get_running_loop();
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) throw std::system_error(errno, std::generic_category(), "make a socket");
    const Fd owned(listener);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, 8) != 0)
        throw std::system_error(errno, std::generic_category(), "listen on a socket");
    const SocketAddress where = TransportSocket(listener).getsockname();
    const Fd client = stream_socket();
    auto accepting = create_task(loop.sock_accept(listener));
    co_await loop.sock_connect(client.get(), where);
    auto [server, from] = co_await std::move(accepting);
    auto receiving = create_task(loop.sock_recv(server.get(), 100));
    co_await sleep(0s);
    co_await loop.sock_sendall(client.get(), "hello");
    const std::string received = co_await receiving;
    expect(received == "hello", "sock_recv receives");
    std::byte memory[16];
    co_await loop.sock_sendall(server.get(), "back");
    const std::size_t count = co_await loop.sock_recv_into(client.get(), memory);
    expect(count == 4, "sock_recv_into receives");
}

Coro<> pass_descriptors() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        throw std::system_error(errno, std::generic_category(), "make a pair of sockets");
    const Fd left(ends[0]);
    const Fd right(ends[1]);
    auto receiving = create_task(recv_fds(right.get(), 16, 4));
    co_await sleep(0s);
    const std::vector<int> outputs{0, 2};
    co_await send_fds(left.get(), "two", outputs);
    const ReceivedDescriptors received = co_await std::move(receiving);
    expect(received.data == "two" && received.fds.size() == 2, "descriptors arrive");
}

Coro<> send_a_file() {
    const std::string path = path_of("sent");
    const std::string contents(100'000, 'f');
    co_await fs::write_file(path, contents);
    Server server = co_await start_server(echo, "127.0.0.1", 0);
    co_await with_cleanup(
        [&]() -> Coro<> {
            const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
            if (!file) throw std::system_error(errno, std::generic_category(), "open the file");
            auto [reader, writer] = co_await open_connection("127.0.0.1", port_of(server));
            auto send = [&to = writer, &file]() -> Coro<> {
                // It was lost to the fault; sendfile() would call that a wrong use.
                if (to.transport()->is_closing()) throw IncompleteReadError("", 100'000);
                (void)co_await get_running_loop().sendfile(*to.transport(), file.get());
                to.write_eof();
            };
            auto [nothing, back] = co_await gather(send(), reader.read());
            if (back.size() != contents.size()) throw IncompleteReadError("", contents.size());
            expect(back == contents, "the file arrives");
        },
        [&]() -> Coro<> { co_await end(server); });
}

Coro<> sock_send_a_file() {
    EventLoop& loop = get_running_loop();
    const std::string path = path_of("sock_sent");
    co_await fs::write_file(path, std::string(10'000, 'f'));
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    int ends[2];
    if (!file || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        throw std::system_error(errno, std::generic_category(), "make a pair of sockets");
    const Fd left(ends[0]);
    const Fd right(ends[1]);
    const std::size_t sent = co_await loop.sock_sendfile(left.get(), file.get());
    expect(sent == 10'000, "the whole file is sent");
}

Coro<> lookups() {
    const auto addresses = co_await net::resolve("localhost", 80);
    expect(!addresses.empty(), "localhost has an address");
    bool unknown = false;
    try {
        (void)co_await net::resolve(std::string(300, 'x'), 80);
    } catch (const std::system_error&) {
        unknown = true;
    } catch (const std::invalid_argument&) {
        unknown = true;
    }
    expect(unknown, "a name that is too long is refused");
}

Coro<> readers_and_writers() {
    EventLoop& loop = get_running_loop();
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        throw std::system_error(errno, std::generic_category(), "make a pair of sockets");
    const Fd left(ends[0]);
    const Fd right(ends[1]);
    Event readable;
    Event writable;
    loop.add_reader(right.get(), [&] {
        loop.remove_reader(right.get());
        readable.set();
    });
    co_await with_cleanup(
        [&]() -> Coro<> {
            loop.add_writer(left.get(), [&] {
                loop.remove_writer(left.get());
                writable.set();
            });
            co_await writable.wait();
            if (::write(left.get(), "x", 1) != 1)
                throw std::system_error(errno, std::generic_category(), "write to the socket");
            co_await readable.wait();
        },
        [&]() -> Coro<> {
            loop.remove_reader(right.get());
            loop.remove_writer(left.get());
            co_return;
        });
}

/// Keeps what comes until the end.
class Collector final : public Protocol {
  public:
    explicit Collector(Future<std::string> done) : done_(std::move(done)) {}
    void data_received(std::span<const std::byte> data) override {
        text_.append(reinterpret_cast<const char*>(data.data()), data.size());
    }
    void connection_lost(std::exception_ptr error) override {
        if (done_.done()) return;
        if (error)
            done_.set_exception(error);
        else
            done_.set_result(text_);
    }

  private:
    Future<std::string> done_;
    std::string text_;
};

Coro<> pipes() {
    EventLoop& loop = get_running_loop();
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "make a pipe");
    Fd reading(ends[0]);
    Fd writing(ends[1]);
    Future<std::string> done = loop.create_future<std::string>();
    auto [input, collector] = co_await loop.connect_read_pipe(
        [&] { return std::make_unique<Collector>(done); }, reading.get());
    (void)reading.release();  // taken now
    Future<std::string> unused = loop.create_future<std::string>();
    auto [output, other] = co_await loop.connect_write_pipe(
        [&] { return std::make_unique<Collector>(unused); }, writing.get());
    (void)writing.release();
    output->write("through a pipe");
    output->close();
    std::string text;
    std::exception_ptr failed;
    try {
        text = co_await done;
    } catch (...) {
        failed = std::current_exception();
    }
    auto written = co_await as_outcome(unused);
    if (failed) std::rethrow_exception(failed);
    if (!written) std::rethrow_exception(written.error());
    expect(text == "through a pipe", "the pipe brings all");
}

Coro<> cancel_connections() {
    Server server = co_await start_server(
        [](StreamReader& reader, StreamWriter&) -> Coro<> { (void)co_await reader.read(); },
        "127.0.0.1", 0);
    co_await with_cleanup(
        [&]() -> Coro<> {
            auto [reader, writer] = co_await open_connection("127.0.0.1", port_of(server));
            auto reading = create_task(reader.read(1));
            auto udp = co_await open_datagram({.local = {"127.0.0.1", 0}});
            auto receiving = create_task([&]() -> Coro<> { (void)co_await udp.recvfrom(); });
            co_await sleep(1ms);
            reading.cancel();
            receiving.cancel();
            const auto read = co_await as_outcome(reading);
            const auto received = co_await as_outcome(receiving);
            expect(!received, "nothing was received");
            expect(!read || read->empty(), "nothing was read");  // or the server ended it
            auto connecting = create_task(open_connection("127.0.0.1", port_of(server)));
            co_await sleep(0s);
            connecting.cancel();
            (void)co_await as_outcome(connecting);
        },
        [&]() -> Coro<> { co_await end(server); });
}

Coro<> reset_by_peer() {
    Server server = co_await start_server(
        [](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            (void)co_await reader.read(1);
            writer.transport()->abort();
        },
        "127.0.0.1", 0);
    co_await with_cleanup(
        [&]() -> Coro<> {
            auto [reader, writer] = co_await open_connection("127.0.0.1", port_of(server));
            writer.write("x and what nobody reads");
            const auto rest = co_await as_outcome(reader.read());
            writer.close();
            (void)co_await as_outcome(writer.wait_closed());
        },
        [&]() -> Coro<> { co_await end(server); });
}

}  // namespace

std::span<const Scenario> net_scenarios() {
    static constexpr Scenario list[] = {
        {"tcp_echo", on_loop<tcp_echo>},
        {"tcp_echo_of_much", on_loop<tcp_echo_of_much>},
        {"unix_echo", on_loop<unix_echo>},
        {"connect_refused", on_loop<connect_refused>},
        {"names", on_loop<names>},
        {"protocols", on_loop<protocols>},
        {"udp_echo", on_loop<udp_echo>},
        {"datagram_protocols", on_loop<datagram_protocols>},
        {"sock_calls", on_loop<sock_calls>, true},
        {"pass_descriptors", on_loop<pass_descriptors>, true},
        {"send_a_file", on_loop<send_a_file>},
        {"sock_send_a_file", on_loop<sock_send_a_file>, true},
        {"lookups", on_loop<lookups>, true},
        {"readers_and_writers", on_loop<readers_and_writers>, true},
        {"pipes", on_loop<pipes>},
        {"cancel_connections", on_loop<cancel_connections>},
        {"reset_by_peer", on_loop<reset_by_peer>},
    };
    return list;
}

}  // namespace asyncio::proof
