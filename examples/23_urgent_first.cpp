// SPDX-License-Identifier: MIT
//
// Urgent first: a priority queue of jobs; of equals the oldest comes first.
//
//     build/dev/example_23_urgent_first
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>

namespace {

using asyncio::Coro;

struct Job {
    int urgency;  // 0 is the most urgent
    std::string what;
    friend bool operator<(const Job& a, const Job& b) { return a.urgency < b.urgency; }
};

Coro<> nurse(asyncio::PriorityQueue<Job>& waiting_room) {
    try {
        for (;;) {
            const Job job = co_await waiting_room.get();
            std::printf("%d %s\n", job.urgency, job.what.c_str());
        }
    } catch (const asyncio::QueueShutDown&) {
        std::printf("going home\n");
    }
}

Coro<> hospital() {
    asyncio::PriorityQueue<Job> waiting_room;
    waiting_room.put_nowait(Job{2, "sprained ankle"});
    waiting_room.put_nowait(Job{3, "sore throat"});
    waiting_room.put_nowait(Job{0, "heart attack"});
    waiting_room.put_nowait(Job{2, "cut finger"});
    waiting_room.put_nowait(Job{1, "broken arm"});
    waiting_room.shutdown();  // closed; who is in there is seen
    co_await nurse(waiting_room);
}

}  // namespace

int main() { asyncio::run(hospital()); }
