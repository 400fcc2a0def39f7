// SPDX-License-Identifier: MIT
//
// File transfer in chunks, to disk: the sender names the file and its size, the receiver answers
// what it got. Neither ever holds more than a chunk, and the disk does not hold up the loop.
//
//     ./dev example 34 receive DIRECTORY [PORT]        Ctrl-C ends it; port 0 picks a free one
//     ./dev example 34 send FILE [PORT]
#include <asyncio/asyncio.hpp>

#include <filesystem>
#include <iostream>

using asyncio::Coro;

constexpr std::size_t kChunk = 64 << 10;  // bytes

Coro<> receive(std::string directory, asyncio::StreamReader& reader,
               asyncio::StreamWriter& writer) {
    std::string name = co_await reader.readline();
    const std::string size = co_await reader.readline();
    name = std::filesystem::path(name.substr(0, name.size() - 1)).filename();  // no way out of here
    auto to_disk = [&](asyncio::File& file) -> Coro<> {
        for (std::size_t left = std::stoull(size); left > 0;) {
            const std::string chunk = co_await reader.read(std::min(left, kChunk));
            if (chunk.empty()) throw std::runtime_error(name + " ended too early");
            co_await file.write(chunk);
            left -= chunk.size();
        }
    };
    co_await asyncio::with(asyncio::open(directory + "/" + name, "wb"), to_disk);
    writer.write("received " + name + "\n");
    co_await writer.drain();
}

Coro<> serve(std::string directory, asyncio::Port port) {
    auto handler = [&](asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
        return receive(directory, reader, writer);
    };
    auto server = co_await asyncio::start_server(handler, "127.0.0.1", port);
    std::cout << "listening on " << server.sockets()[0].getsockname() << std::endl;
    co_await server.serve_forever();
}

Coro<> send(std::filesystem::path path, asyncio::Port port) {
    auto [reader, writer] = co_await asyncio::open_connection("127.0.0.1", port);
    const auto size = std::filesystem::file_size(path);
    writer.write(path.filename().string() + "\n" + std::to_string(size) + "\n");
    auto to_network = [&](asyncio::File& file) -> Coro<> {
        for (;;) {
            const std::string chunk = co_await file.read(kChunk);
            if (chunk.empty()) break;
            writer.write(chunk);
            co_await writer.drain();  // as fast as the other side takes it
        }
    };
    co_await asyncio::with(asyncio::open(path.string(), "rb"), to_network);
    const std::string answer = co_await reader.readline();
    std::cout << answer;
    writer.close();
    co_await writer.wait_closed();
}

Coro<> program(std::vector<std::string> arguments) {
    if (arguments.size() < 2)
        throw std::runtime_error("usage: receive DIRECTORY [PORT] | send FILE [PORT]");
    const asyncio::Port port = arguments.size() > 2 ? asyncio::Port(arguments[2]) : 9997;
    if (arguments[0] == "receive")
        co_await serve(arguments[1], port);
    else
        co_await send(arguments[1], port);
}

int main(int argc, char** argv) { return asyncio::run_main(program({argv + 1, argv + argc})); }
