// SPDX-License-Identifier: MIT
//
// Programs that are trees: leaves sleep, fail, swallow or answer a cancellation; inner nodes are
// gather, wait, TaskGroup, timeout, shield, a cancelled task, a sequence. And what is written down
// of each node: when and how it ended, and its task's cancelling().
#pragma once

#include <asyncio/base/time.hpp>

#include <algorithm>
#include <compare>
#include <cstdint>
#include <string>
#include <utility>
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

}  // namespace asyncio::tree_model
