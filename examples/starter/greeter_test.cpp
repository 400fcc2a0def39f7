#include <stdexcept>

#include "greeter.hpp"

asyncio::Coro<> test_greet() {
    auto server = co_await asyncio::start_server(greet, "127.0.0.1", 0);
    const auto port = server.sockets()[0].getsockname().port();
    auto [reader, writer] = co_await asyncio::open_connection("127.0.0.1", port);
    writer.write("Ada\nBob\n");
    writer.write_eof();
    const std::string answer = co_await reader.read();
    if (answer != "hello, Ada\nhello, Bob\n") throw std::runtime_error("answered " + answer);
    writer.close();
    server.close();
}

int main() { return asyncio::run_main(test_greet()); }
