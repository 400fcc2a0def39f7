// SPDX-License-Identifier: MIT
//
// Child: a running program, watched through its pidfd.
//
//     running --pidfd readable, reaped--> exited      returncode() is set, waiters are woken
//        '--the loop closes--> killed and reaped      returncode() is set, waiters are not
//
// No SIGCHLD, no thread, and nobody else's children are touched. Whoever drops a Child that runs
// leaves it to the loop, which reaps it when it ends: there is no zombie whatever is dropped or
// cancelled. A loop that closes kills those that still run, because nobody could reap them.
//
// Signals go through the pidfd: they never hit a stranger with a recycled number (catalogue P1).
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/ref.hpp>
#include <asyncio/kernel/operation.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/spawn.hpp>
#include <asyncio/task/wait_list.hpp>

#include <optional>
#include <string>

namespace asyncio::subprocess {

class Child final : public RefCounted, private loop::Member {
  public:
    /// Made before its program is started, so that nothing can fail between the start and the
    /// watch. `program` is for messages.
    static Ref<Child> make(EventLoop& loop, std::string program);
    /// Watch `spawned`, which runs. std::system_error if that cannot be; then it is killed.
    void watch(os::Spawned spawned);
    void destroy() noexcept { delete this; }

    int pid() const noexcept { return pid_; }
    const std::string& program() const noexcept { return program_; }
    std::optional<int> returncode() const noexcept { return returncode_; }
    EventLoop& loop() const noexcept { return loop_; }

    /// No effect on one that has ended and is not known to have. std::system_error (ESRCH) once
    /// returncode() is known.
    void send_signal(int signal);
    /// No effect on one that has ended.
    void kill() noexcept;

    /// Woken when returncode() is known.
    task::WaitList& exited() noexcept { return exited_; }
    /// Made ready then; null to be left alone again.
    void set_on_exit(Runnable* target) noexcept { on_exit_ = target; }

  private:
    Child(EventLoop& loop, std::string program);
    ~Child();

    static void on_completion(kernel::Operation& operation, const kernel::Completion& completion);
    void wait_for_exit() noexcept;
    void ended(int returncode) noexcept;
    void loop_closed() noexcept override;
    void kill_and_reap() noexcept;

    EventLoop& loop_;
    int pid_ = -1;
    int pidfd_ = -1;
    std::string program_;
    kernel::Operation poll_{kernel::Opcode::poll, &on_completion};
    std::optional<int> returncode_;
    task::WaitList exited_;
    Runnable* on_exit_ = nullptr;
};

}  // namespace asyncio::subprocess
