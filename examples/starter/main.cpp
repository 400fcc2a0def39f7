#include <iostream>

#include "greeter.hpp"

asyncio::Coro<> serve(asyncio::Port port) {
    auto server = co_await asyncio::start_server(greet, "127.0.0.1", port);
    std::cout << "listening on " << server.sockets()[0].getsockname() << std::endl;
    co_await server.serve_forever();
}

int main(int argc, char** argv) {
    return asyncio::run_main([=] { return serve(argc > 1 ? asyncio::Port(argv[1]) : 8888); });
}
