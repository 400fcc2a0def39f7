// Tests outside the project that use the component asyncio::testing.
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/gtest.hpp>

using namespace std::chrono_literals;

asyncio::Coro<int> answer() {
    co_await asyncio::sleep(24h);
    co_return 42;
}

ASYNC_TEST(Outside, waits_a_day, {.timeout = 48h, .virtual_time = true}) {
    ASYNC_EXPECT_EQ(co_await answer(), 42);
}
