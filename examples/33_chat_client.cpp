// SPDX-License-Identifier: MIT
//
// A client for chat_server: what you type goes out, what others say comes in, at the same time.
//
//     example_33_chat_client [HOST [PORT]]
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <unistd.h>

namespace {

using asyncio::Coro;

/// The terminal as a stream of the same kind as the network's.
class Input final : public asyncio::Protocol {
  public:
    explicit Input(asyncio::StreamReader& reader) : reader_(reader) {}
    void connection_made(asyncio::Transport& transport) override {
        reader_.set_transport(transport);
    }
    void data_received(std::span<const std::byte> data) override { reader_.feed_data(data); }
    void connection_lost(std::exception_ptr) override { reader_.feed_eof(); }

  private:
    asyncio::StreamReader& reader_;
};

Coro<> listen(asyncio::StreamReader& network) {
    auto lines = network.lines();
    while (auto line = co_await lines.next()) {
        std::fputs(line->c_str(), stdout);
        std::fflush(stdout);
    }
}

Coro<> talk(asyncio::StreamReader& keyboard, asyncio::StreamWriter& writer) {
    auto lines = keyboard.lines();
    while (auto line = co_await lines.next()) {
        writer.write(*line);
        co_await writer.drain();
    }
    writer.write("/quit\n");  // the end of input
    co_await writer.drain();
}

Coro<> chat(std::string host, std::uint16_t port) {
    auto [reader, writer] = co_await asyncio::open_connection(host, port);
    asyncio::StreamReader keyboard;
    auto input = co_await asyncio::get_running_loop().connect_read_pipe(
        [&] { return std::make_unique<Input>(keyboard); }, STDIN_FILENO);
    asyncio::Task<> talking = asyncio::create_task(talk(keyboard, writer));
    co_await listen(reader);  // until the server has said goodbye
    talking.cancel();
    (void)co_await asyncio::as_outcome(std::move(talking));
    input.first->close();
    writer.close();
    co_await writer.wait_closed();
}

}  // namespace

int main(int argc, char** argv) try {
    const auto port = static_cast<std::uint16_t>(argc > 2 ? std::atoi(argv[2]) : 8888);
    asyncio::run(chat(argc > 1 ? argv[1] : "127.0.0.1", port));
} catch (const asyncio::KeyboardInterrupt&) {
    std::puts("bye");
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
