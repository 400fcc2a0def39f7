// SPDX-License-Identifier: MIT
//
// What the tests of task groups share.
#pragma once

#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/task_group.hpp>
#include <asyncio/task/with.hpp>

#include <string>

namespace asyncio::task_tests {

/// What is in a group error, "a, b(c, d)"; the plain description of anything else.
inline std::string contents(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const BaseExceptionGroup& group) {
        std::string text = "(";
        for (const std::exception_ptr& e : group.exceptions())
            text += (text.size() > 1 ? ", " : "") + contents(e);
        return text + ")";
    } catch (const std::runtime_error& e) {
        return e.what();
    } catch (...) {
        return describe(error);
    }
}

template <class T>
std::string contents(const Outcome<T>& outcome) {
    return outcome ? "none" : contents(outcome.error());
}

/// A group around `body`; how it ended.
template <class Body>
Coro<std::string> group_of(Body body) {
    const auto outcome = co_await as_outcome(with(TaskGroup(), std::move(body)));
    co_return contents(outcome);
}

/// Sleeps; when cancelled, throws something else.
inline Coro<> fail_when_cancelled(std::string what) {
    (void)co_await as_outcome(forever());
    throw std::runtime_error(what);
}

/// Sleeps; when cancelled, takes `delay` to clean up.
inline Coro<> linger(Events& events, std::string name, Duration delay) {
    const auto outcome = co_await as_outcome(forever());
    (void)co_await as_outcome(sleep(delay));
    events.push_back(name + " gone");
    outcome.value();
}

}  // namespace asyncio::task_tests
