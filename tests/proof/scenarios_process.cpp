// SPDX-License-Identifier: MIT
//
// Scenarios of programs that are started.
#include <csignal>

#include "scenarios.hpp"

namespace asyncio::proof {
namespace {

using namespace std::chrono_literals;

/// A program that should not outlive the scenario, whatever happens in it.
class Killed {
  public:
    explicit Killed(Process& process) noexcept : process_(process) {}
    Killed(const Killed&) = delete;
    Killed& operator=(const Killed&) = delete;
    ~Killed() {
        try {
            if (!process_.returncode()) process_.kill();
        } catch (const std::system_error&) {  // it has ended, or the fault was put here
        }
    }

  private:
    Process& process_;
};

Coro<> run_a_program() {
    Process process =
        co_await create_subprocess_exec({.stdin_ = DEVNULL, .stdout_ = DEVNULL}, "/bin/true");
    const Killed guard(process);
    const int code = co_await process.wait();
    // 255: its status was lost to the fault; -SIGKILL: it could not be watched
    expect(code == 0 || code == 255 || code == -SIGKILL, "true is true");
}

Coro<> communicate() {
    Process process =
        co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "/bin/cat");
    const Killed guard(process);
    const auto [out, err] = co_await process.communicate("through cat");
    if (out.size() != 11) throw IncompleteReadError(out, 11);
    expect(out == "through cat", "cat gives all back");
}

Coro<> shell() {
    Process process = co_await create_subprocess_shell(
        {.stdin_ = DEVNULL, .stdout_ = PIPE, .stderr_ = STDOUT}, "echo out; echo err >&2; exit 3");
    const Killed guard(process);
    const auto [out, err] = co_await process.communicate();
    if (out.size() != 8) throw IncompleteReadError(out, 8);
    expect(process.returncode() == 3 || process.returncode() == 255, "the shell's status arrives");
}

Coro<> terminal() {
    Process process = co_await create_subprocess_exec(
        {.stdin_ = PTY, .stdout_ = PTY, .stderr_ = PTY}, "/bin/echo", "on a terminal");
    const Killed guard(process);
    const std::string out = co_await process.stdout_().read();
    (void)co_await process.wait();
    if (out.empty()) throw IncompleteReadError("", 15);
    expect(out == "on a terminal\r\n", "the terminal brings all");
}

Coro<> kill_a_program() {
    Process process = co_await create_subprocess_exec({.stdin_ = PIPE}, "/bin/cat");
    const Killed guard(process);
    auto waiting = create_task(process.wait());
    co_await sleep(1ms);
    process.kill();
    const int code = co_await waiting;
    expect(code == -SIGKILL || code == 255, "a killed program says so");
}

Coro<> missing_program() {
    bool missing = false;
    try {
        (void)co_await create_subprocess_exec("/no/such/program");
    } catch (const std::system_error& error) {
        missing = error.code() == std::errc::no_such_file_or_directory;
        if (!missing) throw;
    }
    expect(missing, "what is missing cannot be started");
}

Coro<> cancel_a_wait() {
    Process process =
        co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE, .cwd = "/"}, "/bin/cat");
    const Killed guard(process);
    auto waiting = create_task(process.wait());
    auto talking = create_task(process.communicate("hello"));
    co_await sleep(0s);
    talking.cancel();
    waiting.cancel();
    (void)co_await as_outcome(talking);
    (void)co_await as_outcome(waiting);
    process.kill();
    (void)co_await process.wait();
}

Coro<> drop_a_program() {
    Process process = co_await create_subprocess_exec({.stdin_ = PIPE}, "/bin/cat");
}

}  // namespace

std::span<const Scenario> process_scenarios() {
    static constexpr Scenario list[] = {
        {"run_a_program", on_loop<run_a_program>, true},
        {"communicate", on_loop<communicate>},
        {"shell", on_loop<shell>},
        {"terminal", on_loop<terminal>},
        {"kill_a_program", on_loop<kill_a_program>, true},
        {"missing_program", on_loop<missing_program>, true},
        {"cancel_a_wait", on_loop<cancel_a_wait>},
        {"drop_a_program", on_loop<drop_a_program>, true},
    };
    return list;
}

}  // namespace asyncio::proof
