// SPDX-License-Identifier: MIT
//
// UDP echo server, for the benchmarks: `bench_udp_echo [--endpoint] PORT`. A DatagramProtocol; with
// --endpoint a coroutine over open_datagram(), a string per datagram.
#include <asyncio/asyncio.hpp>

#include <cstdlib>
#include <memory>
#include <string_view>

namespace {

using asyncio::Coro;

class Echo final : public asyncio::DatagramProtocol {
  public:
    static std::unique_ptr<Echo> make() { return std::make_unique<Echo>(); }
    void connection_made(asyncio::DatagramTransport& transport) override {
        transport_ = &transport;
    }
    void datagram_received(std::span<const std::byte> data,
                           const asyncio::SocketAddress& from) override {
        transport_->sendto(data, from);
    }

  private:
    asyncio::DatagramTransport* transport_ = nullptr;
};

Coro<> serve(std::uint16_t port) {
    const asyncio::DatagramOptions options{.local = {"127.0.0.1", port}};
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    const auto endpoint = co_await loop.create_datagram_endpoint(Echo::make, options);
    asyncio::Event never;
    co_await never.wait();
}

Coro<> serve_endpoint(std::uint16_t port) {
    const asyncio::DatagramOptions options{.local = {"127.0.0.1", port}};
    auto endpoint = co_await asyncio::open_datagram(options);
    for (;;) {
        const auto [data, from] = co_await endpoint.recvfrom();
        co_await endpoint.sendto(data, from);
    }
}

}  // namespace

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[argc - 1]));
    const bool endpoint = argc > 2 && std::string_view(argv[1]) == "--endpoint";
    try {
        asyncio::run(endpoint ? serve_endpoint(port) : serve(port));
    } catch (const asyncio::KeyboardInterrupt&) {
    }
}
