// SPDX-License-Identifier: MIT
//
// UDP echo on Boost.Asio with callbacks: `udp_asio PORT`. Sends without suspending, its fastest
// way.
#include <boost/asio.hpp>
#include <cstdlib>

namespace asio = boost::asio;
using asio::ip::udp;

namespace {

struct Echo {
    udp::socket socket;
    udp::endpoint from;
    char memory[65536];

    void receive() {
        socket.async_receive_from(
            asio::buffer(memory), from, [this](boost::system::error_code error, std::size_t count) {
                boost::system::error_code ignored;
                if (!error) socket.send_to(asio::buffer(memory, count), from, 0, ignored);
                receive();
            });
    }
};

}  // namespace

int main(int, char** argv) {
    asio::io_context context(1);
    const auto port = static_cast<unsigned short>(std::atoi(argv[1]));
    static Echo echo{{context, {asio::ip::address_v4::loopback(), port}}, {}, {}};
    echo.socket.non_blocking(true);
    echo.receive();
    context.run();
}
