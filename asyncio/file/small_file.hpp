// SPDX-License-Identifier: MIT
//
// SmallFile: a file that the system has in memory, read with the next poll of the loop, together
// with everybody else's. Where the kernel cannot (kernel/io_uring_small_files.hpp), or the system
// has not all of it in memory, the result says so; nothing has happened then that others see.
//
//     idle --submit--> in the kernel --completion--> woken --> resumed
//       '--submit--> done: other means
//
// That costs less per file the more are read together, and more than a few calls for one alone:
// `SmallFileReaders` counts how many ask in an iteration of the loop.
//
// The path is lent until then. A cancelled task goes on when the kernel's records have ended, with
// the next poll; a frame that is destroyed waits for them. What was opened is closed then.
//
// Threads: the loop's.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/kernel/operation.hpp>
#include <asyncio/loop/service.hpp>
#include <asyncio/os/fd.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace asyncio {
class EventLoop;
}

namespace asyncio::file {

class SmallFileAwaiter final : public coro::Wait {
  public:
    struct Result {
        Result() = default;  // no aggregate: GCC 12 miscompiles awaits of those

        int error = 0;     // no other means would do better; else 0
        bool all = false;  // `data` is all of the file
        std::string data;  // else what the descriptor gave, and gives again if it has positions
        os::Fd fd;         // else the file, opened with O_NONBLOCK; or no means but others
    };

    explicit SmallFileAwaiter(const char* path) noexcept;
    ~SmallFileAwaiter();

    bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        return submit(frame.promise().driver());
    }
    Result await_resume();

    bool cancel(const std::string& message) noexcept override;
    const char* what() const noexcept override { return "read"; }

  private:
    static void on_completion(kernel::Operation& operation, const kernel::Completion& completion);
    bool submit(coro::Driver& driver) noexcept;

    kernel::Operation operation_;
    EventLoop& loop_;
    coro::Driver* driver_ = nullptr;   // set when it suspended
    std::span<const std::byte> data_;  // the kernel's
    bool ended_ = false;
    Result result_;
};

class SmallFileReaders final : public loop::Service {
  public:
    explicit SmallFileReaders(EventLoop& loop) noexcept : Service(Stage::user_code), loop_(loop) {}

    /// For one more. Whether several ask in this iteration: the first is told from the last one in
    /// which anybody asked.
    bool join() noexcept;
    /// What one that was not alone has come to: a file that is too large, or not in memory, or of a
    /// system that never says so (tmpfs), has cost more than by other means, and others like it
    /// may follow: those come by other means for a while, which is longer each time in a row.
    void read(bool all) noexcept {
        if (!all) pause_ = next_pause_;
        next_pause_ = all ? kShortest : std::min(2 * next_pause_, kLongest);
    }

    Coro<> shut_down() override;

  private:
    static constexpr std::uint32_t kShortest = 32;  // pause, in files
    static constexpr std::uint32_t kLongest = 8192;

    EventLoop& loop_;
    std::uint32_t iteration_ = 0;  // the last in which anybody asked
    std::uint32_t now_ = 0;        // so many did in that one
    std::uint32_t before_ = 0;     // and in the one before
    std::uint32_t pause_ = 0;      // so many go by other means
    std::uint32_t next_pause_ = kShortest;
};

class [[nodiscard]] SmallFile : public coro::DriverAwaitable {
  public:
    explicit SmallFile(const char* path) noexcept : path_(path) {}
    SmallFileAwaiter operator co_await() const noexcept { return SmallFileAwaiter(path_); }

  private:
    const char* path_;
};

}  // namespace asyncio::file
