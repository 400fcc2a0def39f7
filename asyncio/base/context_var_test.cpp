// SPDX-License-Identifier: MIT
#include <asyncio/base/context_var.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

TEST(ContextVar, gives_its_default_or_the_callers_until_it_is_set) {
    ContextVar<std::string> name("none", "name");
    ContextVar<int> bare;
    EXPECT_EQ(name.name(), "name");
    EXPECT_EQ(name.get(), "none");
    EXPECT_EQ(name.get("other"), "other");
    EXPECT_THROW(static_cast<void>(bare.get()), std::out_of_range);
    EXPECT_EQ(bare.get(1), 1);
    copy_context().run([&] {
        name.set("a");
        bare.set(0);
        EXPECT_EQ(name.get(), "a");
        EXPECT_EQ(name.get("other"), "a");
        EXPECT_EQ(bare.get(1), 0);
    });
    EXPECT_EQ(name.get(), "none");
}

TEST(ContextVar, reset_restores_what_was_there_before) {
    Context().run([] {
        ContextVar<int> var(0);
        auto first = var.set(1);
        auto second = var.set(2);
        EXPECT_EQ(first.old_value(), std::nullopt);
        EXPECT_EQ(second.old_value(), 1);
        var.reset(second);
        EXPECT_EQ(var.get(), 1);
        var.reset(std::move(first));
        EXPECT_EQ(var.get(), 0);
        EXPECT_EQ(copy_context().size(), 0u);
    });
}

TEST(ContextVar, a_token_is_good_once_for_its_variable_in_its_context) {
    ContextVar<int> var(0);
    ContextVar<int> other(0);
    Context().run([&] {
        auto token = var.set(1);
        EXPECT_THROW(other.reset(token), std::invalid_argument);
        EXPECT_THROW(copy_context().run([&] { var.reset(token); }), std::invalid_argument);
        EXPECT_EQ(var.get(), 1);
        var.reset(token);
        EXPECT_THROW(var.reset(token), std::logic_error);
        EXPECT_EQ(var.get(), 0);
    });
}

TEST(ContextVar, scoped_resets_at_the_end_of_the_scope_also_by_exceptions) {
    ContextVar<int> var(0);
    Context().run([&] {
        {
            auto outer = var.scoped(1);
            try {
                auto inner = var.scoped(2);
                EXPECT_EQ(var.get(), 2);
                throw std::runtime_error("x");
            } catch (const std::runtime_error&) {
                EXPECT_EQ(var.get(), 1);
            }
            auto moved = std::move(outer);
            EXPECT_EQ(var.get(), 1);
        }
        EXPECT_EQ(var.get(), 0);
    });
}

TEST(ContextVar, a_scope_that_ends_elsewhere_changes_nothing_there) {
    ContextVar<int> var(0);
    Context here;
    auto scope = std::make_unique<ContextVar<int>::Scope>(here.run([&] { return var.scoped(1); }));
    Context().run([&] {
        var.set(5);
        scope.reset();
        EXPECT_EQ(var.get(), 5);
    });
    EXPECT_EQ(here.get(var), 1);
}

TEST(ContextVar, variables_do_not_disturb_each_other) {
    Context().run([] {
        std::vector<std::unique_ptr<ContextVar<int>>> vars;
        for (int i = 0; i < 20; ++i) vars.push_back(std::make_unique<ContextVar<int>>(-1));
        for (int i = 19; i >= 0; i -= 2) vars[static_cast<std::size_t>(i)]->set(i);
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(vars[static_cast<std::size_t>(i)]->get(), i % 2 == 1 ? i : -1);
        EXPECT_EQ(copy_context().size(), 10u);
    });
}

TEST(ContextVar, one_that_died_leaves_no_trace_in_another_of_its_address) {
    Context().run([] {
        alignas(8) unsigned char memory[sizeof(ContextVar<std::string>)];
        auto* first = ::new (memory) ContextVar<std::string>("none");
        first->set("a");
        first->~ContextVar<std::string>();
        auto* second = ::new (memory) ContextVar<std::string>("none");
        EXPECT_EQ(second->get(), "none");
        second->~ContextVar<std::string>();
    });
}

TEST(Context, copies_of_the_handle_share_and_copy_does_not) {
    ContextVar<int> var(0);
    const Context context;
    const Context same = context;
    const Context copy = context.copy();
    context.run([&] { var.set(1); });
    EXPECT_EQ(same.get(var), 1);
    EXPECT_EQ(copy.get(var), std::nullopt);
    EXPECT_TRUE(same.contains(var));
    EXPECT_FALSE(copy.contains(var));
    EXPECT_TRUE(same == context);
    EXPECT_FALSE(copy == context);
    EXPECT_EQ(var.get(), 0);
}

TEST(Context, run_passes_arguments_results_and_exceptions_and_nests) {
    ContextVar<int> var(0);
    Context context;
    auto owned = context.run([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(3));
    EXPECT_EQ(*owned, 3);
    EXPECT_THROW(context.run([&] {
        var.set(1);
        throw std::runtime_error("x");
    }),
                 std::runtime_error);
    EXPECT_EQ(var.get(), 0);
    context.run([&] {
        context.run([&] { var.set(2); });
        EXPECT_EQ(var.get(), 2);
        context = Context();  // the one that runs lives on
        EXPECT_EQ(var.get(), 2);
    });
}

TEST(Context, values_die_with_the_last_context_that_has_them) {
    ContextVar<std::shared_ptr<int>> var(nullptr);
    auto value = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = value;
    {
        Context a;
        a.run([&] { var.set(std::move(value)); });
        const Context b = a.copy();
        a = Context();
        EXPECT_FALSE(watch.expired());
        b.run([&] { var.set(nullptr); });
        EXPECT_TRUE(watch.expired());
    }
}

TEST(Context, a_values_destructor_may_use_the_variable) {
    struct Meddler {
        ~Meddler() {
            if (target != nullptr) target->set(target->get() + 1);
        }
        ContextVar<int>* target;
    };
    ContextVar<int> count(0);
    ContextVar<std::shared_ptr<Meddler>> var(nullptr);
    Context().run([&] {
        var.set(std::make_shared<Meddler>(Meddler{nullptr}));
        var.get()->target = &count;
        var.set(nullptr);
        EXPECT_EQ(count.get(), 1);
        EXPECT_EQ(var.get(), nullptr);
    });
}

TEST(Context, one_context_and_its_values_may_be_used_by_many_threads) {
    ContextVar<std::string> var("none");
    ContextVar<int> count(0);
    const Context shared;
    shared.run([&] { var.set("x"); });
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, own = shared.copy()] {
            for (int i = 0; i < 500; ++i) {
                shared.run([&] {
                    count.set(i);
                    EXPECT_EQ(var.get(), "x");
                });
                own.run([&] {
                    var.set(var.get() + "y");
                    if (i % 100 == 0) var.set("x");
                });
            }
            EXPECT_EQ(var.get(), "none");
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(shared.get(count), 499);
}

}  // namespace
}  // namespace asyncio
