// SPDX-License-Identifier: MIT
//
// The model of the rules: it computes what becomes of a program (tree_program_fixture_test.hpp)
// without coroutines, tasks or a loop. run() maps a node, the time it starts and the times at which
// its task is asked to cancel to the time and way it ends.
//
// All delays are different, so each moment has one cause. The order of what follows within a moment
// is not modelled (other tests pin it): a program whose outcome depends on that order is skipped
// (Ambiguous). Few are.
#pragma once

#include <asyncio/task/tree_program_fixture_test.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace asyncio::tree_model {

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

}  // namespace asyncio::tree_model
