#include "greeter.hpp"

asyncio::Coro<> greet(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        writer.write("hello, " + *line);
        co_await writer.drain();
    }
}
