// SPDX-License-Identifier: MIT
//
// A storm of cancels over opening files (catalogue A1, A2): whoever wins, no descriptor is left
// open.
//
// ASYNCIO_TEST_SCALE  factor for the rounds; 1 is twenty thousand. Default 0.1.
#include <asyncio/file/file.hpp>
#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_listing.hpp>
#include <asyncio/testing/descriptors.hpp>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace std::chrono_literals;

class OpenStorm : public FolderTest {
  protected:
    static int rounds() {
        const char* scale = std::getenv("ASYNCIO_TEST_SCALE");
        return std::max(1'000, static_cast<int>(20'000 * (scale ? std::atof(scale) : 0.1)));
    }
    void check(int opened, int cancelled) const {
        const int often = rounds() / 40;
        RecordProperty("figure", std::to_string(rounds()) + " rounds, " + std::to_string(opened) +
                                     " completed, " + std::to_string(cancelled) +
                                     " cancelled, 0 descriptors left (limit " +
                                     std::to_string(often) + " of each, 0)");
        EXPECT_GE(opened, often);
        EXPECT_GE(cancelled, often);
    }
};

Coro<> open_and_close(std::string path) {
    File file = co_await open(path);
    co_await file.close();
}

TEST_F(OpenStorm, A1_A2_an_open_that_is_cancelled_leaves_no_descriptor) {
    put("file", "x");
    const std::string name = path("file");
    run(open_and_close(name));  // what a first open makes, threads for example
    int opened = 0;
    int cancelled = 0;
    const testing::OpenDescriptors before;
    run([&]() -> Coro<> {  // deadline: real time, so that a thread has a chance to win
        std::mt19937 random(31);
        Duration nap = 10us;  // follows whoever wins
        for (int i = 0; i < rounds(); ++i) {
            auto task = create_task([name]() -> Coro<File> { co_return co_await open(name); });
            if (random() % 4 == 0)
                for (unsigned n = random() % 3; n > 0; --n) co_await sleep(0s);
            else
                co_await sleep(nap * (random() % 3));
            task.cancel();
            auto outcome = co_await as_outcome(std::move(task));
            if (outcome) {
                ++opened;
                nap = std::max<Duration>(nap - 1us, 0s);
                co_await outcome->close();
            } else {
                EXPECT_TRUE(outcome.cancelled());
                ++cancelled;
                nap += 1us;
            }
        }
        EXPECT_EQ(all_tasks().size(), 1u);
    });
    EXPECT_EQ(testing::OpenDescriptors::since(before), std::vector<std::string>{});
    check(opened, cancelled);
}

}  // namespace
}  // namespace asyncio
