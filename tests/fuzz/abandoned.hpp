// SPDX-License-Identifier: MIT
//
// Tasks that still wait for something when their loop is closed: each that began has to end.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/loop/event_loop.hpp>

#include <memory>

#include "fuzz.hpp"

namespace asyncio::fuzz {

class AbandonedTasks {
  public:
    /// Held by each of the tasks as long as it lives.
    class Life {
      public:
        explicit Life(AbandonedTasks& all) : all_(all) { ++all_.begun_; }
        Life(const Life&) = delete;
        Life& operator=(const Life&) = delete;
        ~Life() { ++all_.ended_; }

      private:
        AbandonedTasks& all_;
    };

    /// `begin` makes them; then their loop goes.
    void run(Coro<> begin) {
        {
            EventLoop loop(std::make_unique<StillKernel>());
            loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
            loop.run_until_complete(std::move(begin));
            loop.close();
        }
        FUZZ_CHECK(ended_ == begun_);
    }

  private:
    int begun_ = 0;
    int ended_ = 0;
};

}  // namespace asyncio::fuzz
