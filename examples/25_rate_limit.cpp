// SPDX-License-Identifier: MIT
//
// A rate limit: at most three requests at a time, however many there are to make.
//
//     build/dev/example_25_rate_limit
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <cstdio>
#include <vector>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;

struct Load {
    int now = 0;
    int most = 0;
};

Coro<int> request(int page, asyncio::Semaphore& slots, Load& load) {
    const auto slot = co_await slots.scoped();  // released at the end of the block
    load.most = std::max(load.most, ++load.now);
    co_await asyncio::sleep(10ms);
    --load.now;
    const int answer = page * page;
    co_return answer;
}

Coro<> crawl() {
    asyncio::Semaphore slots(3);
    Load load;
    std::vector<Coro<int>> requests;
    for (int page = 1; page <= 10; ++page) requests.push_back(request(page, slots, load));
    const std::vector<int> answers = co_await asyncio::gather(std::move(requests));
    int sum = 0;
    for (const int answer : answers) sum += answer;
    std::printf("%zu pages, sum %d, at most %d at a time\n", answers.size(), sum, load.most);
}

}  // namespace

int main() { asyncio::run(crawl()); }
