// SPDX-License-Identifier: MIT
//
// Operation: a public awaitable, and the scene in which it is cancelled. For g07_cancel_everywhere.
#pragma once

#include <asyncio/asyncio.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace asyncio::proof {

using namespace std::chrono_literals;

template <class T>
struct Callable {
    virtual ~Callable() = default;
    ASYNCIO_CORO_WRAPPER virtual Coro<T> call() = 0;
};
template <class T, class F>
struct CallableOf final : Callable<T> {
    explicit CallableOf(F given) : f(std::move(given)) {}
    ASYNCIO_CORO_WRAPPER Coro<T> call() override { return f(); }
    F f;
};

/// std::function for coroutines: Clang's check of lifetimes does not let that return them.
template <class T = void>
class CoroFunction {
  public:
    CoroFunction() = default;
    template <class F>
        requires std::is_invocable_r_v<Coro<T>, F&>
    CoroFunction(F f) : callable_(std::make_shared<CallableOf<T, F>>(std::move(f))) {}

    explicit operator bool() const { return callable_ != nullptr; }
    ASYNCIO_CORO_WRAPPER Coro<T> operator()() const { return callable_->call(); }

  private:
    std::shared_ptr<Callable<T>> callable_;
};

/// What is cancelled, and what must hold afterwards, whichever way it ended. Both may refer to what
/// they hold: the scene outlives them.
struct Scene {
    CoroFunction<> operate;
    CoroFunction<> check = {};
};

struct Operation {
    std::string name;
    CoroFunction<Scene> prepare;
};
using Operations = std::vector<Operation>;

/// Something that must hold did not; says so with the operation and the moment.
void require(bool holds, const std::string& what);

/// An operation that needs nothing and leaves nothing.
inline Operation simple(std::string name, CoroFunction<> operate) {
    return {std::move(name),
            [operate = std::move(operate)]() -> Coro<Scene> { co_return Scene{operate, {}}; }};
}

/// Call `f` every now and then until it returns true.
inline void repeat(std::function<bool()> f) {
    get_running_loop().call_later(200us, [f = std::move(f)] {
        if (!f()) repeat(f);
    });
}

void add_task_operations(Operations& all);
void add_sync_operations(Operations& all);
void add_stream_operations(Operations& all);
void add_net_operations(Operations& all);
void add_sock_operations(Operations& all);
void add_tls_operations(Operations& all);
void add_file_operations(Operations& all);
void add_process_operations(Operations& all);

}  // namespace asyncio::proof
