// SPDX-License-Identifier: MIT
//
// The same program in Python (3.11) gave this event log; the order of every event has to agree.
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task_fixture_test.hpp>

#include <optional>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

Coro<> worker(Events& log, std::string name, int n, std::optional<Future<int>> future) {
    log.push_back(name + " start");
    for (int i = 0; i < n; ++i) {
        co_await sleep(0s);
        log.push_back(name + " " + std::to_string(i));
    }
    if (!future) co_return;
    const auto outcome = co_await as_outcome(*future);
    if (outcome) {
        log.push_back(name + " got " + std::to_string(*outcome));
        co_return;
    }
    log.push_back(name + " cancelled");
    co_await sleep(0s);
    log.push_back(name + " after");
    outcome.value();
}

Coro<> program(Events& log) {
    EventLoop& loop = get_running_loop();
    Future<int> f;
    Future<int> g;
    Task<> a = create_task(worker(log, "a", 2, std::nullopt));
    Task<> b = create_task(worker(log, "b", 1, f));
    Task<> c = create_task(worker(log, "c", 0, f));
    Task<> d = create_task(worker(log, "d", 0, g));
    a.add_done_callback([&log, f](Task<>&) {
        log.push_back("a done");
        f.set_result(1);
    });
    c.add_done_callback([&log, d](Task<>&) {
        log.push_back("c done");
        d.cancel();
    });
    d.add_done_callback(
        [&log](Task<>& t) { log.push_back(t.cancelled() ? "d done True" : "d done False"); });
    f.add_done_callback([&log](Future<int>&) { log.push_back("f done"); });
    loop.call_soon([&log] { log.push_back("soon 1"); });
    auto all = gather(a, b, c);
    all.add_done_callback([&log](auto&) { log.push_back("gather done"); });
    loop.call_soon([&log, &loop] {
        log.push_back("soon 2");
        loop.call_soon([&log] { log.push_back("soon 3"); });
    });
    co_await all;
    log.push_back("main after gather");
    (void)co_await gather(return_exceptions, d);
    log.push_back("main end");
}

TEST(Order, is_that_of_asyncio) {
    Events log;
    testing::run(program(log));
    EXPECT_EQ(
        log,
        (Events{
            "a start", "b start",     "c start", "d start",     "soon 1",      "soon 2",
            "a 0",     "b 0",         "soon 3",  "a 1",         "a done",      "f done",
            "c got 1", "b got 1",     "c done",  "d cancelled", "gather done", "main after gather",
            "d after", "d done True", "main end"}));
}

/// A turn that is no task's, and has no context of its own.
class Onlooker final : public Runnable {
  public:
    Onlooker() noexcept : Runnable(&take_turn) {}

    bool saw_a_task = false;
    const ContextSlot* seen = nullptr;

  private:
    static void take_turn(Runnable& runnable, Turn) {
        auto& self = static_cast<Onlooker&>(runnable);
        self.saw_a_task = current_task().valid();
        self.seen = ContextSlot::current_place();
    }
};

/// First steps and later ones stand before and behind it, in one iteration.
TEST(Order, what_runs_between_the_steps_of_tasks_is_in_none_of_them) {
    const ContextSlot* const outside = ContextSlot::current_place();
    testing::run([outside]() -> Coro<> {
        loop::Core& core = get_running_loop().core();
        const Task<> early = create_task(turns(2));
        Onlooker after_first_steps;
        core.ready.push(after_first_steps);
        const Task<> late = create_task(turns(2));
        co_await sleep(0s);
        EXPECT_FALSE(after_first_steps.saw_a_task);
        EXPECT_EQ(after_first_steps.seen, outside);

        Onlooker after_steps;
        core.ready.push(after_steps);  // behind the tasks' second steps
        co_await sleep(0s);
        EXPECT_FALSE(after_steps.saw_a_task);
        EXPECT_EQ(after_steps.seen, outside);
        co_await early;
        co_await late;
    });
}

}  // namespace
}  // namespace asyncio
