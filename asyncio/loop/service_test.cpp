// SPDX-License-Identifier: MIT
//
// What a loop does with services; their shutdown at the end of run() is in run_test.cpp.
#include <asyncio/loop/event_loop.hpp>

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

using Events = std::vector<std::string>;
Events events;

template <int N>
class Recorder final : public loop::Service {
  public:
    explicit Recorder(EventLoop&) : Service(Stage::threads) { note("made"); }
    ~Recorder() override { note("destroyed"); }
    Coro<> shut_down() override { co_return; }
    void loop_closed() noexcept override { note("loop closed"); }

  private:
    void note(const std::string& what) { events.push_back(what + " " + std::to_string(N)); }
};

TEST(Service, each_loop_makes_its_own_on_first_use_and_ends_the_newest_first) {
    events.clear();
    {
        EventLoop loop;
        EventLoop other;
        EXPECT_EQ(loop.find_service<Recorder<1>>(), nullptr);
        auto& one = loop.service<Recorder<1>>();
        EXPECT_EQ(&loop.service<Recorder<1>>(), &one);
        loop.service<Recorder<2>>();
        EXPECT_EQ(loop.find_service<Recorder<1>>(), &one);
        EXPECT_EQ(other.find_service<Recorder<1>>(), nullptr);
        loop.close();
        other.close();
        EXPECT_EQ(events, (Events{"made 1", "made 2", "loop closed 2", "loop closed 1"}));
    }
    events.erase(events.begin(), events.begin() + 4);
    EXPECT_EQ(events, (Events{"destroyed 2", "destroyed 1"}));
}

}  // namespace
}  // namespace asyncio
