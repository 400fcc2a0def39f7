// SPDX-License-Identifier: MIT
//
// File transfer in chunks: the sender names the file and its size, the receiver answers what it
// got. Neither ever holds more than a chunk.
//
//     example_34_file_transfer receive DIRECTORY [PORT]
//     example_34_file_transfer send FILE [PORT]
#include <asyncio/asyncio.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace {

using asyncio::Coro;

constexpr std::size_t kChunk = 64 << 10;  // bytes

Coro<> receive(const std::string& directory, asyncio::StreamReader& reader,
               asyncio::StreamWriter& writer) {
    std::string name = co_await reader.readline();
    const std::string size_text = co_await reader.readline();
    name = std::filesystem::path(name.substr(0, name.size() - 1)).filename();  // no way out of here
    std::size_t left = std::stoull(size_text);
    std::ofstream file(directory + "/" + name, std::ios::binary);
    std::array<std::byte, kChunk> chunk;
    while (left > 0) {
        const std::size_t count =
            co_await reader.read_into(std::span(chunk).first(std::min(left, kChunk)));
        if (count == 0) throw std::runtime_error(name + " ended too early");
        file.write(reinterpret_cast<const char*>(chunk.data()), static_cast<long>(count));
        left -= count;
    }
    file.close();
    writer.write(file ? "received " + name + "\n" : "could not write " + name + "\n");
    co_await writer.drain();
}

Coro<> serve(std::string directory, std::uint16_t port) {
    auto handler = [&](asyncio::StreamReader& reader, asyncio::StreamWriter& writer) -> Coro<> {
        co_await receive(directory, reader, writer);
    };
    auto server = co_await asyncio::start_server(handler, "127.0.0.1", port);
    std::printf("listening on %s\n", server.sockets()[0].getsockname().to_string().c_str());
    std::fflush(stdout);
    co_await server.serve_forever();
}

Coro<> send(std::filesystem::path path, std::uint16_t port) {
    auto [reader, writer] = co_await asyncio::open_connection("127.0.0.1", port);
    const std::size_t size = std::filesystem::file_size(path);
    writer.write(path.filename().string() + "\n" + std::to_string(size) + "\n");
    std::ifstream file(path, std::ios::binary);
    std::string chunk(kChunk, '\0');
    while (file.read(chunk.data(), kChunk), file.gcount() > 0) {
        writer.write(std::string_view(chunk).substr(0, static_cast<std::size_t>(file.gcount())));
        co_await writer.drain();  // as fast as the other side takes it
    }
    const std::string answer = co_await reader.readline();
    std::printf("%s", answer.c_str());
    writer.close();
    co_await writer.wait_closed();
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 3) throw std::invalid_argument("usage: receive DIRECTORY [PORT] | send FILE [PORT]");
    const auto port = static_cast<std::uint16_t>(argc > 3 ? std::atoi(argv[3]) : 9997);
    if (std::string_view(argv[1]) == "receive")
        asyncio::run(serve(argv[2], port));
    else
        asyncio::run(send(argv[2], port));
} catch (const asyncio::KeyboardInterrupt&) {
    std::puts("bye");
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
