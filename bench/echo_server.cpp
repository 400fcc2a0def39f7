// SPDX-License-Identifier: MIT
//
// Echo server for the benchmarks. The last argument is the port; ASYNCIO_BACKEND chooses io_uring
// or epoll.
//
// The session, a coroutine with streams, passes on what peek() shows: no string per message, and no
// memory of a connection's own while it is idle. `--read` measures read(n), a string each; `--into
// BYTES` read_into(); `--protocol` a Protocol, callbacks without a task.
#include <asyncio/asyncio.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "harness.hpp"

namespace {

using asyncio::Coro;
using asyncio::StreamReader;
using asyncio::StreamWriter;

constexpr std::size_t kReadSize = 65536;

Coro<> echo(StreamReader& reader, StreamWriter& writer) {
    for (;;) {
        const std::string_view data = co_await reader.peek();
        if (data.empty()) break;
        writer.write(data);
        reader.consume(data.size());
        co_await writer.drain();
    }
}

Coro<> echo_read(StreamReader& reader, StreamWriter& writer) {
    for (;;) {
        const std::string data = co_await reader.read(kReadSize);
        if (data.empty()) break;
        writer.write(data);
        co_await writer.drain();
    }
}

std::size_t into_bytes = 0;  // of each connection's memory, with --into

Coro<> echo_into(StreamReader& reader, StreamWriter& writer) {
    const std::size_t size = into_bytes;
    const auto memory = std::make_unique_for_overwrite<std::byte[]>(size);
    const std::span<std::byte> target(memory.get(), size);
    for (;;) {
        const std::size_t count = co_await reader.read_into(target);
        if (count == 0) break;
        writer.write(std::span<const std::byte>(memory.get(), count));
        co_await writer.drain();
    }
}

class EchoProtocol final : public asyncio::Protocol {
  public:
    static std::unique_ptr<EchoProtocol> make() { return std::make_unique<EchoProtocol>(); }
    void connection_made(asyncio::Transport& transport) override { transport_ = &transport; }
    void data_received(std::span<const std::byte> data) override { transport_->write(data); }
    void pause_writing() override { transport_->pause_reading(); }
    void resume_writing() override { transport_->resume_reading(); }

  private:
    asyncio::Transport* transport_ = nullptr;
};

using Session = Coro<>(StreamReader&, StreamWriter&);

Coro<> serve(Session* session, std::uint16_t port) {
    const asyncio::ServerOptions options{.backlog = 4096};
    const asyncio::Server server =
        co_await asyncio::start_server(session, "127.0.0.1", port, options);
    co_await server.serve_forever();
}

Coro<> serve_protocol(std::uint16_t port) {
    const asyncio::ServerOptions options{.backlog = 4096};
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    const asyncio::Server server =
        co_await loop.create_server(EchoProtocol::make, "127.0.0.1", port, options);
    co_await server.serve_forever();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s [--read | --into BYTES | --protocol] PORT\n", argv[0]);
        return 2;
    }
    const std::string_view option = argv[1];
    Session* session = &echo;
    if (option == "--read") session = &echo_read;
    if (option == "--into" && argc > 3) {
        session = &echo_into;
        into_bytes = std::strtoul(argv[2], nullptr, 10);
    }
    bench::allow_many_descriptors();
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[argc - 1]));
    try {
        asyncio::run(option == "--protocol" ? serve_protocol(port) : serve(session, port));
    } catch (const asyncio::KeyboardInterrupt&) {
    }
}
