// SPDX-License-Identifier: MIT
//
// ChildProgram: what a program that runs on a simulated host knows of itself. The program is a
// coroutine of the test's (SimulatedHost::on_program()), on a loop of its own:
//
//     host.on_program("upper", [](asyncio::testing::ChildProgram& self) -> Coro<int> {
//         auto lines = self.stdin_().lines();
//         while (auto line = co_await lines.next()) self.stdout_().write(upper(*line));
//         co_return 0;                                    // its exit status
//     });
//
// Whoever starts "upper" on that host, by create_subprocess_exec(), create_subprocess_shell() or
// subprocess_exec(), gets it, with pipes between the two. When the coroutine returns, what it wrote
// is written out, its streams are closed, and it has ended.
//
// Signals: SIGKILL ends it where it stands; SIGSTOP and SIGCONT do what they say; SIGCHLD, SIGURG
// and SIGWINCH do nothing; all others cancel it. One that lets that through was ended by the signal
// (-15), one that returns has the exit status it returns. An exception fails the world.
//
// Threads: of its loop.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/writer.hpp>
#include <asyncio/task/task.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asyncio::testing {

class ChildProgram {
  public:
    /// Its name, as it was called, and what follows.
    const std::vector<std::string>& arguments() const noexcept { return arguments_; }
    /// Of the environment it was given.
    std::optional<std::string> environment(std::string_view name) const;
    int pid() const noexcept { return pid_; }
    /// The descriptor it inherited as `number` (pass_fds), the caller's from now on; -1 if there is
    /// none.
    int inherited(int number) noexcept;

    /// What does not lead to its parent is empty, and takes everything.
    StreamReader& stdin_() noexcept { return *stdin_reader_; }
    StreamWriter& stdout_() noexcept { return *stdout_writer_; }
    StreamWriter& stderr_() noexcept { return *stderr_writer_; }

  private:
    friend class ProgramTable;

    ChildProgram() = default;
    bool has(int number) const noexcept;
    void open_streams(EventLoop& loop);
    Coro<> close_streams();
    void abort_streams() noexcept;

    std::vector<std::string> arguments_;
    std::vector<std::string> environment_;
    int pid_ = 0;
    std::vector<std::pair<int, os::Fd>> descriptors_;  // number, and the host's own
    Ref<stream::StreamCore> cores_[3];
    std::optional<StreamReader> stdin_reader_;
    std::optional<StreamWriter> stdout_writer_;
    std::optional<StreamWriter> stderr_writer_;
};

using ProgramStub = UniqueFunction<Task<int>(EventLoop&, ChildProgram&)>;

}  // namespace asyncio::testing
