// SPDX-License-Identifier: MIT
//
// Context variables: sets, resets by tokens, scopes, copies and runs in other contexts, nested as
// the input says, against a map a context.
//
// covers: base/context.hpp base/context.cpp base/context_var.hpp
#include <asyncio/base/context_var.hpp>

#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <vector>

#include "fuzz.hpp"

namespace {

using asyncio::Context;
using asyncio::fuzz::Input;
using Variable = asyncio::ContextVar<int>;
using Model = std::map<std::size_t, int>;  // by variable

constexpr std::size_t kVariables = 12;

struct Known {
    Context real;
    Model model;
};
struct Return {
    asyncio::Token<int> token;
    std::size_t variable;
    std::optional<int> before;
    const Model* place;
    bool used = false;
};

class Script {
  public:
    explicit Script(Input& input) : input_(input) {
        for (std::size_t i = 0; i < kVariables; ++i)
            variables_.emplace_back(i == 0 ? std::optional<int>(-1) : std::nullopt);
    }
    void run() {
        // In a context of its own: the thread's would outlive the script.
        asyncio::ContextSlot slot;
        const asyncio::ContextScope scope(slot);
        Model model;
        inside(model, 0);
    }

  private:
    void inside(Model& model, int depth) {
        while (!input_.empty()) {
            if (input_.below(12) == 11 && depth > 0) break;
            step(model, depth);
            check(model);
        }
    }

    void step(Model& model, int depth) {
        const std::size_t variable = input_.below(kVariables);
        Variable& real = variables_[variable];
        switch (input_.below(6)) {
            case 0:
            case 1: {
                const int value = input_.byte();
                auto token = real.set(value);
                const auto before = of(model, variable);
                FUZZ_CHECK(token.old_value() == before);
                returns_.push_back({std::move(token), variable, before, &model});
                model[variable] = value;
                break;
            }
            case 2:
                reset(model, variable);
                break;
            case 3:
                if (contexts_.size() < 20) contexts_.push_back({asyncio::copy_context(), model});
                check_copies(contexts_.back(), model);
                break;
            case 4:
                if (!contexts_.empty() && depth < 10) enter(depth);
                break;
            default: {
                const auto scope = real.scoped(input_.byte());
                const auto value = of(model, variable);
                FUZZ_CHECK(real.get(-2) >= 0);
                if (value) FUZZ_CHECK(real.get() != -2);
            }
        }
    }
    void reset(Model& model, std::size_t variable) {
        if (returns_.empty()) return;
        Return& one = returns_[input_.below(returns_.size())];
        try {
            variables_[variable].reset(one.token);
            FUZZ_CHECK(!one.used && one.variable == variable && one.place == &model);
            one.used = true;
            if (one.before)
                model[variable] = *one.before;
            else
                model.erase(variable);
        } catch (const std::invalid_argument&) {
            FUZZ_CHECK(one.variable != variable || one.place != &model);
        } catch (const std::logic_error&) {
            FUZZ_CHECK(one.used);
        }
    }
    void check_copies(const Known& known, const Model& model) {
        Context copy = known.real.copy();
        FUZZ_CHECK(copy.size() == known.model.size());
        const Context same = known.real;
        FUZZ_CHECK(same == known.real && !(same == Context()));
        const asyncio::ContextView view(same);
        FUZZ_CHECK(view && *view == same && !asyncio::ContextView());
        copy.run([&] { variables_[2].set(1); });
        FUZZ_CHECK(known.real.get(variables_[2]) == of(known.model, 2));
        copy = same;
        FUZZ_CHECK(copy == same);
        if (of(model, 1)) return;
        try {
            (void)variables_[1].get();
            FUZZ_CHECK(false);
        } catch (const std::out_of_range&) {  // it has neither a value nor a default
        }
    }
    void enter(int depth) {
        Known& known = contexts_[input_.below(contexts_.size())];
        known.real.run([&] { inside(known.model, depth + 1); });
    }

    static std::optional<int> of(const Model& model, std::size_t variable) {
        const auto found = model.find(variable);
        return found == model.end() ? std::nullopt : std::optional(found->second);
    }
    void check(const Model& model) {
        for (std::size_t i = 0; i < kVariables; ++i)
            FUZZ_CHECK(variables_[i].get(-2) == of(model, i).value_or(-2));
        for (const Known& known : contexts_)
            for (std::size_t i = 0; i < kVariables; ++i)
                FUZZ_CHECK(known.real.get(variables_[i]) == of(known.model, i));
        FUZZ_CHECK(variables_[0].get() == of(model, 0).value_or(-1));
    }

    Input& input_;
    std::deque<Variable> variables_;
    std::deque<Known> contexts_;
    std::vector<Return> returns_;
};

}  // namespace

FUZZ_TARGET(context) {
    Script script(input);
    script.run();
}
