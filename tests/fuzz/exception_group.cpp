// SPDX-License-Identifier: MIT
//
// Exception groups: a random tree of groups and leaves, parted by a random test, against the same
// on a plain tree: every leaf is in exactly one part, in its order and under its groups.
//
// covers: base/exception_group.hpp base/exception_group.cpp
#include <asyncio/base/error.hpp>
#include <asyncio/base/exception_group.hpp>

#include <memory>
#include <optional>
#include <vector>

#include "fuzz.hpp"

namespace {

using asyncio::BaseExceptionGroup;
using asyncio::ExceptionGroup;

struct Leaf : std::runtime_error {
    explicit Leaf(int n) : std::runtime_error("leaf " + std::to_string(n)), number(n) {}
    int number;
};
struct Strange {  // no std::exception
    int number;
};

struct Node {
    int number = 0;
    bool strange = false;
    std::vector<Node> children;  // none: a leaf
};

class Maker {
  public:
    explicit Maker(asyncio::fuzz::Input& input) : input_(input) {}

    Node group(int depth) {
        Node node{.number = ++numbers_, .strange = false, .children = {}};
        for (std::size_t n = 1 + input_.below(4); n > 0; --n)
            node.children.push_back(depth > 0 && input_.chance() ? group(depth - 1) : leaf());
        return node;
    }

  private:
    Node leaf() { return {.number = ++numbers_, .strange = input_.below(8) == 7, .children = {}}; }

    asyncio::fuzz::Input& input_;
    int numbers_ = 0;
};

std::exception_ptr build(const Node& node) {
    if (node.children.empty())
        return node.strange ? std::make_exception_ptr(Strange{node.number})
                            : std::make_exception_ptr(Leaf(node.number));
    std::vector<std::exception_ptr> inner;
    for (const Node& child : node.children) inner.push_back(build(child));
    return asyncio::make_exception_group(std::to_string(node.number), std::move(inner));
}

std::string print(const Node& node) {
    std::string text = std::to_string(node.number);
    if (node.children.empty()) return text;
    text += "(";
    for (const Node& child : node.children) text += print(child) + ",";
    return text + ")";
}

std::string print(const BaseExceptionGroup& group);

std::string print(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const BaseExceptionGroup& group) {
        return print(group);
    } catch (const Leaf& leaf) {
        return std::to_string(leaf.number);
    } catch (const Strange& strange) {
        return std::to_string(strange.number);
    }
}

std::string print(const BaseExceptionGroup& group) {
    std::string text = group.message() + "(";
    for (const std::exception_ptr& error : group.exceptions()) text += print(error) + ",";
    return text + ")";
}

std::string print(const std::optional<BaseExceptionGroup>& group) {
    return group ? print(*group) : "nothing";
}

bool has_strange(const Node& node) {
    bool found = node.strange;
    for (const Node& child : node.children) found = found || has_strange(child);
    return found;
}

/// The tree without the leaves that are not wanted, nor groups that are empty then.
template <class Wanted>
std::optional<Node> part(const Node& node, const Wanted& wanted) {
    if (node.children.empty()) return wanted(node.number) ? std::optional(node) : std::nullopt;
    Node kept{.number = node.number, .strange = false, .children = {}};
    for (const Node& child : node.children)
        if (auto inner = part(child, wanted)) kept.children.push_back(std::move(*inner));
    return kept.children.empty() ? std::nullopt : std::optional(kept);
}

std::string print(const std::optional<Node>& node) { return node ? print(*node) : "nothing"; }

int number_in(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const Leaf& leaf) {
        return leaf.number;
    } catch (const Strange& strange) {
        return strange.number;
    } catch (const BaseExceptionGroup&) {
        return 0;  // groups as such never match here
    }
}

void check_kind(const std::exception_ptr& error, bool standard) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        FUZZ_CHECK(standard);
        FUZZ_CHECK(dynamic_cast<const ExceptionGroup*>(&e) != nullptr);
    } catch (const BaseExceptionGroup&) {
        FUZZ_CHECK(!standard);
    }
}

}  // namespace

FUZZ_TARGET(exception_group) {
    const std::uint64_t mask = input.number(8);
    const Node root = Maker(input).group(4);
    const std::exception_ptr error = build(root);
    check_kind(error, !has_strange(root));
    FUZZ_CHECK(print(error) == print(root));
    try {
        std::rethrow_exception(error);
    } catch (const BaseExceptionGroup& group) {
        const auto wanted = [&](int number) { return (mask >> (number % 64) & 1) != 0; };
        const auto parts = group.split([&](const std::exception_ptr& e) {
            const int number = number_in(e);
            return number != 0 && wanted(number);
        });
        FUZZ_CHECK(print(parts.match) == print(part(root, wanted)));
        FUZZ_CHECK(print(parts.rest) ==
                   print(part(root, [&](int number) { return !wanted(number); })));
        if (parts.match) check_kind(parts.match->pointer(), !has_strange(*part(root, wanted)));
        FUZZ_CHECK(group.split<BaseExceptionGroup>().rest == std::nullopt);
        const auto leaves = group.split<Leaf>();
        FUZZ_CHECK(leaves.rest.has_value() == has_strange(root));
        FUZZ_CHECK(std::string_view(group.what()).find(group.message()) == 0);
        FUZZ_CHECK(asyncio::describe(error).size() >= group.message().size());
        BaseExceptionGroup copy = group;
        const BaseExceptionGroup& same = copy;
        copy = same;
        FUZZ_CHECK(print(copy) == print(root));
    }
}
