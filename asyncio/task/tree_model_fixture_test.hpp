// SPDX-License-Identifier: MIT
//
// A model of the rules, and programs that have to agree with it. Programs come at random
// (tree_model_test.cpp) or from bytes (tests/fuzz/tree.cpp).
//
// A program is a tree: leaves sleep, fail, swallow or answer a cancellation; inner nodes are
// gather, wait, TaskGroup, timeout, shield, a cancelled task, a sequence. The library runs it on a
// virtual clock. The model computes the same without coroutines, tasks or a loop: run() maps a
// node, the time it starts and the times at which its task is asked to cancel to the time and way
// it ends. Both write down for each node when and how it ended and its task's cancelling(); the
// records have to be the same.
//
// All delays are different, so each moment has one cause. The order of what follows within a moment
// is not modelled (other tests pin it): records of one moment and the errors of a group are
// compared sorted, and a program whose outcome depends on that order is skipped (Ambiguous). Few
// are.
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
#include <asyncio/task/wait.hpp>
#include <asyncio/task/with.hpp>

#include <algorithm>
#include <compare>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace asyncio::tree_model {

using Time = Duration::rep;  // nanoseconds since the program began
inline constexpr Time kNever = INT64_MAX;

// --- programs ---------------------------------------------------------------------------------

enum class Kind {
    sleep,            // a value after `delay`
    fail,             // an error after `delay`
    swallow,          // sleeps; a value when cancelled
    fail_when_asked,  // sleeps; an error when cancelled
    slow,             // sleeps; gives way `second` after it was cancelled
    gather,           // of the children
    gather_outcomes,  // with return_exceptions
    wait_first,       // for one of the children; then cancels the others and waits for them
    wait_failure,     // FIRST_EXCEPTION
    wait_all,         // at most `delay`
    group,            // the first child is the body, the others are its tasks
    timeout,          // of the child, after `delay`
    shield,           // the child in a task of its own
    cancelled_task,   // the child in a task, cancelled after `delay`
    sequence,         // children one after the other, whatever they throw
};
inline constexpr int kLeaves = 5;
inline constexpr int kKinds = 15;
inline constexpr const char* kNames[] = {
    "sleep",   "fail", "swallow", "fail_when_asked", "slow",   "gather",    "gather*", "first",
    "failure", "all",  "group",   "timeout",         "shield", "cancelled", "sequence"};

struct Node {
    Kind kind = Kind::sleep;
    int id = 0;
    Time delay = 1;
    Time second = 1;
    std::vector<Node> children;
};

struct Program {
    Node root;
    std::vector<Time> cancels;  // of the root's task; ascending
};

inline std::string to_string(const Node& node) {
    std::string text = std::string(kNames[static_cast<int>(node.kind)]) + "#" +
                       std::to_string(node.id) + "[" + std::to_string(node.delay) + "," +
                       std::to_string(node.second) + "]";
    if (node.children.empty()) return text;
    text += "(";
    for (const Node& child : node.children)
        text += (text.back() == '(' ? "" : ", ") + to_string(child);
    return text + ")";
}

/// Makes a program of numbers that `source()` gives.
template <class Source>
class Generator {
  public:
    explicit Generator(Source source) : random_(std::move(source)) {}

    Program program() {
        Program p{node(4), {}};
        for (int n = below(4); n > 0; --n) p.cancels.push_back(time());
        std::sort(p.cancels.begin(), p.cancels.end());
        return p;
    }

  private:
    Node node(int depth) {
        Node n;
        n.id = ++ids_;
        n.delay = time();
        n.second = time() / 4 + 1;
        const bool leaf = depth == 0 || below(5) == 0;
        n.kind = static_cast<Kind>(leaf ? below(kLeaves) : kLeaves + below(kKinds - kLeaves));
        int count = leaf ? 0 : 1 + below(3);
        if (n.kind == Kind::timeout || n.kind == Kind::shield || n.kind == Kind::cancelled_task)
            count = 1;
        for (int i = 0; i < count; ++i) n.children.push_back(node(depth - 1));
        return n;
    }
    int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
    Time time() { return 1 + static_cast<Time>(random_() % 1'000'000'000'000); }

    Source random_;
    int ids_ = 0;
};

// --- records ----------------------------------------------------------------------------------

/// How a node ended: "v" a value, "c" cancelled, "t" timed out, "e7" an error of node 7, "(...)" a
/// group of errors.
using Ending = std::string;

inline bool is_value(const Ending& e) { return e[0] == 'v'; }
inline bool is_cancelled(const Ending& e) { return e == "c"; }

inline Ending group_ending(std::vector<Ending> errors) {
    std::sort(errors.begin(), errors.end());
    Ending text = "(";
    for (const Ending& e : errors) text += e + " ";
    return text + ")";
}

struct Record {
    Time time;
    int node;
    Ending ending;
    std::uint32_t requests;
    auto operator<=>(const Record&) const = default;
};
using Records = std::vector<Record>;

inline std::string to_string(const Record& r) {
    return std::to_string(r.time) + " #" + std::to_string(r.node) + " " + r.ending + " /" +
           std::to_string(r.requests);
}

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

// --- the model --------------------------------------------------------------------------------

/// The outcome depends on the order within one moment.
struct Ambiguous {};

struct End {
    Time time;
    Ending ending;
};

/// When a task is asked to cancel, ascending, and what came of it so far.
struct Asked {
    std::vector<Time> times;
    bool due = false;         // a request that waits for the next suspension
    std::uint32_t taken = 0;  // uncancel()led

    std::uint32_t count(Time now) const {
        const auto asked = std::upper_bound(times.begin(), times.end(), now) - times.begin();
        return static_cast<std::uint32_t>(asked) - taken;
    }
    /// The first request after `start`; `start` itself if one is due.
    Time next(Time start) const {
        if (due) return start;
        const auto at = std::upper_bound(times.begin(), times.end(), start);
        return at == times.end() ? kNever : *at;
    }
    void ask(Time when) { times.insert(std::upper_bound(times.begin(), times.end(), when), when); }
    /// uncancel() at that time.
    void take_back(Time now) {
        ++taken;
        if (count(now) == 0) due = false;
    }
    /// Requests after `start` and up to `end`.
    std::vector<Time> between(Time start, Time end) const {
        return {std::upper_bound(times.begin(), times.end(), start),
                std::upper_bound(times.begin(), times.end(), end)};
    }
};

class Model {
  public:
    static Records run(const Program& program) {
        Records records;
        task(program.root, 0, program.cancels, &records);
        return records;
    }

  private:
    /// A node in a task of its own, asked to cancel at `cancels`.
    static End task(const Node& node, Time start, std::vector<Time> cancels, Records* records) {
        if (!cancels.empty() && cancels[0] <= start) throw Ambiguous();  // has it begun or not?
        Asked asked{std::move(cancels)};
        return run(node, start, asked, records);
    }

    static End run(const Node& node, Time start, Asked& asked, Records* records) {
        const End end = inside(node, start, asked, records);
        if (records != nullptr)
            records->push_back({end.time, node.id, end.ending, asked.count(end.time)});
        return end;
    }

    static End inside(const Node& node, Time start, Asked& asked, Records* records) {
        switch (node.kind) {
            case Kind::gather:
                return gather(node, start, asked, records);
            case Kind::gather_outcomes:
                return gather_outcomes(node, start, asked, records);
            case Kind::wait_first:
            case Kind::wait_failure:
            case Kind::wait_all:
                return wait(node, start, asked, records);
            case Kind::group:
                return group(node, start, asked, records);
            case Kind::timeout:
                return timeout(node, start, asked, records);
            case Kind::shield:
                return shield(node, start, asked, records);
            case Kind::cancelled_task:
                return cancelled_task(node, start, asked, records);
            case Kind::sequence: {
                End end{start, "v"};
                for (const Node& child : node.children) end = run(child, end.time, asked, records);
                return end;
            }
            default:
                return leaf(node, start, asked);
        }
    }

    /// The task waits for `end`; what comes of it if a request is first.
    static bool interrupted(Time start, Time end, Asked& asked, Time* when) {
        *when = asked.next(start);
        if (*when >= end) return false;
        asked.due = false;
        return true;
    }

    static End leaf(const Node& node, Time start, Asked& asked) {
        const Ending error = "e" + std::to_string(node.id);
        Time when = 0;
        if (!interrupted(start, start + node.delay, asked, &when))
            return {start + node.delay, node.kind == Kind::fail ? error : "v"};
        if (node.kind == Kind::swallow) return {when, "v"};
        if (node.kind == Kind::fail_when_asked) return {when, error};
        if (node.kind != Kind::slow) return {when, "c"};
        const Time gone = when + node.second;
        (void)interrupted(when, gone, asked, &when);
        return {std::min(when, gone), "c"};
    }

    /// The children as tasks that are asked to cancel at these times.
    static std::vector<End> tasks(const Node& node, std::size_t first, Time start,
                                  const std::vector<Time>& cancels, Records* records) {
        std::vector<End> ends;
        for (std::size_t i = first; i < node.children.size(); ++i)
            ends.push_back(task(node.children[i], start, cancels, records));
        return ends;
    }
    static Time last(const std::vector<End>& ends, Time at_least) {
        for (const End& end : ends) at_least = std::max(at_least, end.time);
        return at_least;
    }

    /// What a wait from `start` on passes on to whom it waits for.
    static std::vector<Time> passed_on(Time start, const Asked& asked) {
        if (asked.due) throw Ambiguous();  // they have not begun
        return asked.between(start, kNever);
    }

    /// The first failure ends it; the others go on, and hear of no more requests.
    static End gather(const Node& node, Time start, Asked& asked, Records* records) {
        std::vector<Time> cancels = passed_on(start, asked);
        const std::vector<End> ends = tasks(node, 0, start, cancels, nullptr);
        const End* failed = nullptr;
        for (const End& end : ends) {
            if (is_value(end.ending)) continue;
            if (failed != nullptr && failed->time == end.time && failed->ending != end.ending)
                throw Ambiguous();
            if (failed == nullptr || end.time < failed->time) failed = &end;
        }
        const Time over = failed != nullptr ? failed->time : last(ends, start);
        std::erase_if(cancels, [&](Time t) { return t > over; });
        (void)tasks(node, 0, start, cancels, records);
        if (failed != nullptr) return *failed;
        return {over, cancels.empty() ? "v" : "c"};
    }

    static End gather_outcomes(const Node& node, Time start, Asked& asked, Records* records) {
        const std::vector<Time> cancels = passed_on(start, asked);
        const Time over = last(tasks(node, 0, start, cancels, records), start);
        const bool was_asked = !asked.between(start, over).empty();
        return {over, was_asked ? "c" : "v"};
    }

    static End wait(const Node& node, Time start, Asked& asked, Records* records) {
        const std::vector<End> ends = tasks(node, 0, start, {}, nullptr);
        Time over = last(ends, start);
        for (const End& end : ends) {
            const bool failed = !is_value(end.ending) && !is_cancelled(end.ending);
            if (node.kind == Kind::wait_first || (node.kind == Kind::wait_failure && failed))
                over = std::min(over, end.time);
        }
        if (node.kind == Kind::wait_all) over = std::min(over, start + node.delay);
        Time when = 0;
        if (interrupted(start, over, asked, &when)) {
            (void)tasks(node, 0, start, {}, records);
            return {when, "c"};
        }
        Time gone = over;
        for (const Node& child : node.children) {
            const End natural = task(child, start, {}, nullptr);
            std::vector<Time> cancels;
            if (natural.time > over) cancels.push_back(over);
            gone = std::max(gone, task(child, start, cancels, records).time);
        }
        if (interrupted(over, gone, asked, &when)) return {when, "c"};
        return {gone, "v"};
    }

    static End timeout(const Node& node, Time start, Asked& asked, Records* records) {
        const Time deadline = start + node.delay;
        const std::uint32_t baseline = asked.count(start);
        Asked limited = asked;
        limited.ask(deadline);
        Asked trial = limited;
        const bool expired = run(node.children[0], start, trial, nullptr).time >= deadline;
        Asked& used = expired ? limited : asked;
        End end = run(node.children[0], start, used, records);
        if (!expired) return end;
        limited.take_back(end.time);
        if (limited.count(end.time) <= baseline && is_cancelled(end.ending)) end.ending = "t";
        forget(limited, deadline);
        asked = limited;
        return end;
    }
    /// Our own request, taken back: as if it had never been.
    static void forget(Asked& asked, Time own) {
        asked.times.erase(std::find(asked.times.begin(), asked.times.end(), own));
        --asked.taken;
    }

    static End shield(const Node& node, Time start, Asked& asked, Records* records) {
        const End natural = task(node.children[0], start, {}, records);
        Time when = 0;
        if (interrupted(start, natural.time, asked, &when)) return {when, "c"};
        return natural;
    }

    static End cancelled_task(const Node& node, Time start, Asked& asked, Records* records) {
        const Node& child = node.children[0];
        const Time then = start + node.delay;
        Time when = 0;
        if (interrupted(start, then, asked, &when)) {
            if (when == start) throw Ambiguous();
            (void)task(child, start, {}, records);
            return {when, "c"};
        }
        const End natural = task(child, start, {}, nullptr);
        if (natural.time <= then) {  // awaiting it does not suspend
            (void)task(child, start, {}, records);
            return {then, natural.ending};
        }
        if (asked.due) throw Ambiguous();
        std::vector<Time> cancels = asked.between(then, kNever);
        cancels.insert(cancels.begin(), then);
        return task(child, start, cancels, records);
    }

    static End group(const Node& node, Time start, Asked& asked, Records* records) {
        const std::uint32_t baseline = asked.due ? 0 : asked.count(start);
        const std::vector<End> naturals = tasks(node, 1, start, {}, nullptr);
        Time failure = kNever;  // of a child
        for (const End& end : naturals)
            if (!is_value(end.ending) && !is_cancelled(end.ending))
                failure = std::min(failure, end.time);
        Asked trial = asked;
        End body = run(node.children[0], start, trial, nullptr);
        // What aborts the group first: the body, a child, or a request while the block ends.
        Time abort = is_value(body.ending) ? kNever : body.time;
        const bool by_child =
            failure < abort && (failure <= body.time || failure < trial.next(body.time));
        if (by_child) abort = failure;
        const Time at_the_end = trial.next(body.time);
        const bool by_request = abort == kNever && at_the_end < last(naturals, start);
        if (by_request) abort = at_the_end;
        if (by_child) asked.ask(abort);
        body = run(node.children[0], start, asked, records);
        std::vector<Ending> errors;
        Time over = body.time;
        for (std::size_t i = 1; i < node.children.size(); ++i) {
            std::vector<Time> cancels;
            if (naturals[i - 1].time > abort) cancels.push_back(abort);
            const End end = task(node.children[i], start, cancels, records);
            over = std::max(over, end.time);
            if (!is_value(end.ending) && !is_cancelled(end.ending)) errors.push_back(end.ending);
        }
        const bool waited = by_request || asked.next(body.time) < over;
        if (waited) asked.due = false;
        return close(over, body, abort, by_child, waited || is_cancelled(body.ending),
                     std::move(errors), baseline, asked);
    }

    static End close(Time over, const End& body, Time abort, bool by_child, bool cancelled,
                     std::vector<Ending> errors, std::uint32_t baseline, Asked& asked) {
        if (by_child) asked.take_back(over);
        const bool by_others = asked.count(over) > baseline;
        if (by_child) {
            if (!by_others) asked.due = cancelled = false;
            forget(asked, abort);
        }
        if (!is_value(body.ending) && !is_cancelled(body.ending)) errors.push_back(body.ending);
        if (errors.empty()) return {over, cancelled ? "c" : "v"};
        if (by_others) asked.due = true;
        return {over, group_ending(std::move(errors))};
    }
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
