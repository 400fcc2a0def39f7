// SPDX-License-Identifier: MIT
//
// Service: what a room above keeps once per loop: the default executor, the asynchronous generators
// in progress. The loop owns it and knows nothing else of it.
//
//     class DefaultExecutor final : public loop::Service {
//         explicit DefaultExecutor(EventLoop& loop);
//     };
//     DefaultExecutor& threads = loop.service<DefaultExecutor>();   // made on first use
//
// Life: made on first use; shut_down() when run() ends, while the loop can still be awaited on,
// stage by stage; loop_closed() when the loop closes, newest first; destroyed with the loop.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/coro/coro.hpp>

#include <cstdint>

namespace asyncio::loop {

class Service : public IntrusiveListNode<Service> {
  public:
    /// When run() ends, all services of one stage come before those of the next: code of users may
    /// still need threads.
    enum class Stage : std::uint8_t { user_code, threads };

    explicit Service(Stage stage) noexcept : stage_(stage) {}
    virtual ~Service() = default;

    Stage stage() const noexcept { return stage_; }

    /// run() ends: finish what needs the loop.
    virtual Coro<> shut_down() = 0;
    /// The loop closes: let go without blocking.
    virtual void loop_closed() noexcept {}

    /// The type's mark; the loop sets and compares it.
    const void* key = nullptr;

  private:
    Stage stage_;
};

/// Its address tells the types of services apart.
template <class S>
inline char service_key = 0;

}  // namespace asyncio::loop
