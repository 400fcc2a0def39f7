// SPDX-License-Identifier: MIT
#include "scenarios.hpp"

#include <algorithm>
#include <new>
#include <vector>

namespace asyncio::proof {
namespace {

std::string directory = "/tmp";
int runs = 0;

/// The deadline around a scenario: no exception of the library, so that no scenario takes it for
/// one of its own.
class Hung final : public std::exception {
  public:
    const char* what() const noexcept override { return "the scenario's deadline came"; }
};

struct Running;
Running* running_body = nullptr;

/// The body that runs; for interrupt_body().
struct Running {
    explicit Running(Task<> body) : task(std::move(body)) { running_body = this; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running() { running_body = nullptr; }

    Task<> task;
    EventLoop& loop = get_running_loop();
    bool interrupted = false;
};

Coro<> within_deadline(Coro<> (*body)(), Duration deadline) {
    Running running(create_task(body));
    const auto work = running.task;
    const std::vector<Task<>> works(1, work);
    const auto [done, pending] = co_await wait(works, {.timeout = deadline});
    if (done.empty()) throw Hung();
    if (running.interrupted && work.cancelled()) co_return;
    co_await work;
}

/// Says more than the bare text of an errno.
bool names_its_cause(const std::system_error& error) {
    return error.code().message() != error.what();
}

/// Whether the documentation lets `error` leave a scenario in which something failed.
bool is_documented(const std::exception_ptr& error);

bool all_documented(const ExceptionGroup& group) {
    return std::ranges::all_of(group.exceptions(), is_documented);
}

bool is_documented(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::system_error& failed) {
        return names_its_cause(failed);
    } catch (const IncompleteReadError&) {
        return true;  // the other side met the fault
    } catch (const BrokenBarrierError&) {
        return true;
    } catch (const std::bad_alloc&) {
        return true;
    } catch (const ExceptionGroup& group) {
        return all_documented(group);
    } catch (...) {
        return false;
    }
}

}  // namespace

void expect(bool condition, const char* what) {
    if (!condition) throw WrongResult(what);
}

void interrupt_body() {
    if (running_body == nullptr) return;
    running_body->loop.call_soon([] {
        if (running_body == nullptr) return;
        running_body->interrupted = true;
        running_body->task.cancel();
    });
}

void set_scenario_directory(std::string path) { directory = std::move(path); }
const std::string& scenario_directory() { return directory; }
std::string path_of(const char* name) {
    return directory + "/" + name + "-" + std::to_string(runs);
}

void run_body(Coro<> (*body)(), const Environment& environment) {
    asyncio::run(within_deadline(body, environment.deadline),
                 {.backend = environment.backend, .loop_factory = environment.loop_factory});
}

std::span<const Scenario> scenarios() {
    static const std::vector<Scenario> all = [] {
        std::vector<Scenario> list;
        for (const auto part : {task_scenarios(), net_scenarios(), tls_scenarios(),
                                file_scenarios(), process_scenarios()})
            list.insert(list.end(), part.begin(), part.end());
        return list;
    }();
    return all;
}

const Scenario* find_scenario(std::string_view name) {
    const auto found = std::ranges::find(scenarios(), name, &Scenario::name);
    return found == scenarios().end() ? nullptr : &*found;
}

Ending run(const Scenario& scenario, const Environment& environment) {
    runs++;
    const auto ended = [&environment] {
        if (environment.ended != nullptr) environment.ended();
    };
    try {
        scenario.run(environment);
        ended();
        return {};
    } catch (const Hung& hung) {
        ended();
        return {Ending::Kind::hung, hung.what()};
    } catch (...) {
        ended();
        const auto error = std::current_exception();
        const auto kind =
            is_documented(error) ? Ending::Kind::documented : Ending::Kind::undocumented;
        return {kind, describe(error)};
    }
}

}  // namespace asyncio::proof
