// SPDX-License-Identifier: MIT
//
// The library runs a program (tree_program_fixture_test.hpp) on a virtual clock, and has to agree
// with the model. Programs come at random (tree_model_test.cpp) or from bytes
// (tests/fuzz/tree.cpp).
//
// Both write the same records. Those of one moment, and the errors of a group, are compared sorted.
// A program that differs is made as small as it can be and still does.
#pragma once

#include <asyncio/base/error.hpp>
#include <asyncio/base/exception_group.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/shield.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_group.hpp>
#include <asyncio/task/task_listing.hpp>
#include <asyncio/task/timeout.hpp>
#include <asyncio/task/tree_model_fixture_test.hpp>
#include <asyncio/task/tree_program_fixture_test.hpp>
#include <asyncio/task/wait.hpp>
#include <asyncio/task/with.hpp>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asyncio::tree_model {

// --- the library ------------------------------------------------------------------------------

struct NodeError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline Ending ending_of(const std::exception_ptr& error) {
    if (!error) return "v";
    try {
        std::rethrow_exception(error);
    } catch (const CancelledError&) {
        return "c";
    } catch (const TimeoutError&) {
        return "t";
    } catch (const ExceptionGroup& group) {
        std::vector<Ending> errors;
        for (const auto& e : group.exceptions()) errors.push_back(ending_of(e));
        return group_ending(std::move(errors));
    } catch (const NodeError& e) {
        return e.what();
    } catch (...) {
        return "unexpected " + describe(error);
    }
}

class Library {
  public:
    /// `run(coroutine)`: on a loop with virtual time.
    static Records run(const Program& program, void (*run)(Coro<>)) {
        Library self;
        run(self.main(program));
        return std::move(self.records_);
    }

  private:
    Coro<> main(const Program& program) {
        EventLoop& loop = get_running_loop();
        loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
        start_ = loop.time();
        Task<> root = create_task(execute(program.root));
        for (const Time when : program.cancels)
            loop.call_at(start_ + Duration(when), [root] { root.cancel(); });
        for (;;) {  // what was left behind runs to its end
            std::vector<AnyTask> others;
            for (const AnyTask& t : all_tasks())
                if (!(t == current_task())) others.push_back(t);
            if (others.empty()) break;
            (void)co_await wait(others);
        }
    }

    Coro<> execute(const Node& node) {
        const auto outcome = co_await as_outcome(inside(node));
        records_.push_back(
            {now(), node.id, ending_of(outcome.error()), current_task().cancelling()});
        outcome.value();
    }
    Time now() const { return (get_running_loop().time() - start_).count(); }

    Coro<> inside(const Node& node) {
        switch (node.kind) {
            case Kind::gather:
                co_await gather(coroutines(node));
                break;
            case Kind::gather_outcomes:
                (void)co_await gather(return_exceptions, coroutines(node));
                break;
            case Kind::wait_first:
                co_await waiting(node, {.return_when = FIRST_COMPLETED});
                break;
            case Kind::wait_failure:
                co_await waiting(node, {.return_when = FIRST_EXCEPTION});
                break;
            case Kind::wait_all:
                co_await waiting(node, {.timeout = Duration(node.delay)});
                break;
            case Kind::group:
                co_await group(node);
                break;
            case Kind::timeout:
                co_await asyncio::timeout(Duration(node.delay),
                                          [&]() -> Coro<> { co_await execute(node.children[0]); });
                break;
            case Kind::shield:
                co_await shield(execute(node.children[0]));
                break;
            case Kind::cancelled_task: {
                Task<> t = create_task(execute(node.children[0]));
                co_await sleep(Duration(node.delay));
                t.cancel();
                co_await t;
                break;
            }
            case Kind::sequence:
                for (std::size_t i = 0; i + 1 < node.children.size(); ++i)
                    (void)co_await as_outcome(execute(node.children[i]));
                co_await execute(node.children.back());
                break;
            default:
                co_await leaf(node);
        }
    }

    Coro<> leaf(const Node& node) {
        const auto outcome = co_await as_outcome(sleep(Duration(node.delay)));
        const std::string error = "e" + std::to_string(node.id);
        if (outcome) {
            if (node.kind == Kind::fail) throw NodeError(error);
            co_return;
        }
        if (node.kind == Kind::swallow) co_return;
        if (node.kind == Kind::fail_when_asked) throw NodeError(error);
        if (node.kind == Kind::slow) co_await sleep(Duration(node.second));
        outcome.value();
    }

    std::vector<Coro<>> coroutines(const Node& node) {
        std::vector<Coro<>> all;
        for (const Node& child : node.children) all.push_back(execute(child));
        return all;
    }

    Coro<> waiting(const Node& node, WaitOptions options) {
        const auto result = co_await wait(coroutines(node), options);
        for (const Task<>& t : result.pending) t.cancel();
        if (!result.pending.empty()) (void)co_await wait(result.pending);
    }

    Coro<> group(const Node& node) {
        co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<> {
            for (std::size_t i = 1; i < node.children.size(); ++i)
                (void)tg.create_task(execute(node.children[i]));
            co_await execute(node.children[0]);
        });
    }

    TimePoint start_;
    Records records_;
};

// --- the comparison ---------------------------------------------------------------------------

struct Verdict {
    bool ambiguous = false;
    std::size_t steps = 0;
    std::string difference;  // empty: none
};

inline std::string first_difference(const Records& model, const Records& library) {
    const auto count = std::max(model.size(), library.size());
    for (std::size_t i = 0; i < count; ++i) {
        const std::string expected = i < model.size() ? to_string(model[i]) : "nothing";
        const std::string actual = i < library.size() ? to_string(library[i]) : "nothing";
        if (expected != actual) return "model: " + expected + ", library: " + actual;
    }
    return "";
}

inline Verdict compare(const Program& program, void (*run)(Coro<>)) {
    Verdict verdict;
    Records model;
    try {
        model = Model::run(program);
    } catch (const Ambiguous&) {
        verdict.ambiguous = true;
        return verdict;
    }
    Records library = Library::run(program, run);
    std::sort(model.begin(), model.end());
    std::sort(library.begin(), library.end());
    verdict.steps = library.size();
    verdict.difference = first_difference(model, library);
    return verdict;
}

/// All programs that are a little simpler.
inline void simplify(const Node& node, const auto& replace) {
    if (node.children.empty()) {
        if (node.kind != Kind::sleep) {
            Node simpler = node;
            simpler.kind = Kind::sleep;
            replace(simpler);
        }
        return;
    }
    for (const Node& child : node.children) replace(child);
    for (std::size_t i = 0; i < node.children.size(); ++i) {
        if (node.children.size() > 1) {
            Node fewer = node;
            fewer.children.erase(fewer.children.begin() + static_cast<std::ptrdiff_t>(i));
            replace(fewer);
        }
        const std::function<void(const Node&)> inside = [&](const Node& simpler) {
            Node copy = node;
            copy.children[i] = simpler;
            replace(copy);
        };
        simplify(node.children[i], inside);
    }
}

/// The smallest program around this one that still differs.
inline Program shrink(Program program, void (*run)(Coro<>)) {
    for (bool progress = true; progress;) {
        progress = false;
        std::vector<Program> simpler;
        for (std::size_t i = 0; i < program.cancels.size(); ++i) {
            simpler.push_back(program);
            simpler.back().cancels.erase(simpler.back().cancels.begin() +
                                         static_cast<std::ptrdiff_t>(i));
        }
        const std::function<void(const Node&)> collect = [&](const Node& root) {
            simpler.push_back({root, program.cancels});
        };
        simplify(program.root, collect);
        for (Program& candidate : simpler) {
            if (compare(candidate, run).difference.empty()) continue;
            program = std::move(candidate);
            progress = true;
            break;
        }
    }
    return program;
}

inline std::string report(const Program& program, void (*run)(Coro<>)) {
    const Program small = shrink(program, run);
    std::string text = to_string(small.root) + " cancel at";
    for (const Time t : small.cancels) text += " " + std::to_string(t);
    return text + "\n" + compare(small, run).difference;
}

}  // namespace asyncio::tree_model
