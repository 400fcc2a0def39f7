// SPDX-License-Identifier: MIT
//
// UDP echo on libuv: `udp_uv PORT`. Sends with uv_udp_try_send, its fastest way.
#include <cstdlib>

#include <uv.h>

namespace {

char memory[65536];

void allocate(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
    *buffer = uv_buf_init(memory, sizeof memory);
}

void received(uv_udp_t* socket, ssize_t count, const uv_buf_t* buffer, const sockaddr* from,
              unsigned) {
    if (count <= 0 || from == nullptr) return;
    const uv_buf_t data = uv_buf_init(buffer->base, static_cast<unsigned>(count));
    uv_udp_try_send(socket, &data, 1, from);
}

}  // namespace

int main(int, char** argv) {
    uv_udp_t socket;
    sockaddr_in address{};
    uv_udp_init(uv_default_loop(), &socket);
    uv_ip4_addr("127.0.0.1", std::atoi(argv[1]), &address);
    if (uv_udp_bind(&socket, reinterpret_cast<sockaddr*>(&address), 0) != 0) return 1;
    uv_udp_recv_start(&socket, allocate, received);
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
