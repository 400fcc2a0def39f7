// A program outside the project that uses the component asyncio::tls.
#include <asyncio/asyncio.hpp>

#include <cstdio>

int main() {
    auto ctx = asyncio::ssl::create_default_context();
    std::printf("verifies servers: %d\n", ctx.verifies(false));
}
