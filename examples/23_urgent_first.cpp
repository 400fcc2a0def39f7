// SPDX-License-Identifier: MIT
//
// Urgent first: a priority queue of jobs; of equals the oldest comes first.
//
//     ./dev example 23
//
// prints:
//     0 heart attack
//     1 broken arm
//     2 sprained ankle
//     2 cut finger
//     3 sore throat
//     going home
#include <asyncio/asyncio.hpp>

#include <cstdio>

using asyncio::Coro;

struct Job {
    int urgency;  // 0 is the most urgent
    std::string what;
    bool operator<(const Job& other) const { return urgency < other.urgency; }
};

Coro<> nurse(asyncio::PriorityQueue<Job>& waiting_room) {
    auto patients = waiting_room.items();
    while (auto job = co_await patients.next())
        std::printf("%d %s\n", job->urgency, job->what.c_str());
    std::puts("going home");
}

Coro<> hospital() {
    asyncio::PriorityQueue<Job> waiting_room;
    waiting_room.put_nowait({2, "sprained ankle"});
    waiting_room.put_nowait({3, "sore throat"});
    waiting_room.put_nowait({0, "heart attack"});
    waiting_room.put_nowait({2, "cut finger"});
    waiting_room.put_nowait({1, "broken arm"});
    waiting_room.shutdown();  // closed; who is in there is seen
    co_await nurse(waiting_room);
}

int main() { asyncio::run(hospital()); }
