// SPDX-License-Identifier: MIT
//
// What the tests of the loop share: a loop on virtual time with a log, and a kernel that only
// notes.
#pragma once

#include <asyncio/base/error.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio::loop_tests {

using namespace std::chrono_literals;

using Log = std::vector<std::string>;

/// A kernel without a system: time passes only by waiting, and every wait is remembered.
class RecordingKernel final : public kernel::Kernel {
  public:
    struct Record {
        std::vector<std::optional<Duration>> waits;
        Duration step{0};  // what reading the clock costs
    };
    explicit RecordingKernel(Record& record) : record_(record) {}

    std::string_view name() const noexcept override { return "recording"; }
    TimePoint now() noexcept override { return now_ += record_.step; }
    Duration timer_grid() const noexcept override { return Duration(1); }
    void attach_to_thread() override {}
    bool submit(kernel::Operation&) noexcept override { return false; }
    void cancel(kernel::Operation&) noexcept override {}
    void reclaim(kernel::Operation&) noexcept override {}
    void close(int) noexcept override {}
    bool may_have_events() const noexcept override { return true; }
    void wait(std::optional<Duration> timeout) override {
        record_.waits.push_back(timeout);
        if (!timeout) throw std::logic_error("would wait for ever");
        now_ += *timeout;
    }
    void wake() noexcept override {}
    std::size_t in_flight() const noexcept override { return 0; }

  private:
    Record& record_;
    TimePoint now_{1000h};
};

class Loop : public ::testing::Test {
  protected:
    ~Loop() override {
        if (owned) loop.close();
    }
    /// Adds a word to the log.
    auto note(std::string word) {
        return [this, word] { log.push_back(word); };
    }
    /// One iteration, and what was ready in it.
    void iterate() {
        loop.stop();
        loop.run_forever();
    }

    std::unique_ptr<EventLoop> owned = testing::make_virtual_loop();
    EventLoop& loop = *owned;
    testing::ErrorLog errors{loop};
    Log log;
};

}  // namespace asyncio::loop_tests
