// SPDX-License-Identifier: MIT
//
// G7's operations of the room subprocess: no child is left, dead or alive.
#include <cerrno>
#include <memory>
#include <tests/proof/cancel/operation.hpp>

#include <sys/wait.h>

namespace asyncio::proof {
namespace {

bool no_children() {
    siginfo_t info = {};
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == -1 && errno == ECHILD;
}

Coro<> no_child_is_left() {
    for (int i = 0; i < 2000 && !no_children(); ++i) co_await sleep(1ms);
    require(no_children(), "a child was left");
}

Coro<> executes() {
    Process process = co_await create_subprocess_exec("true");
    (void)co_await process.wait();
}
Coro<> runs_shell() {
    Process process = co_await create_subprocess_shell({.stdout_ = PIPE}, "echo hello");
    const std::string out = co_await process.stdout_().read();
    require(out == "hello\n", "a wrong output");
    (void)co_await process.wait();
}
Coro<> communicates() {
    Process process = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
    const auto said = co_await process.communicate(std::string(150'000, 'x'));
    require(said.out.size() == 150'000, "a wrong output");
}
Coro<> cannot_start() {
    auto start = []() -> Coro<> {
        const Process process = co_await create_subprocess_exec("/no/such/program");
    };
    const auto outcome = co_await as_outcome(start());
    if (outcome.cancelled()) throw CancelledError();
    require(!outcome, "what does not exist was started");
}
Coro<> over_protocol() {
    auto factory = [] { return std::make_unique<SubprocessProtocol>(); };
    auto [transport, protocol] =
        co_await get_running_loop().subprocess_exec(factory, {.stdout_ = PIPE}, "true");
    transport->close();
}

Operation on_child(std::string name, Coro<> (*operate)()) {
    return {std::move(name),
            [operate]() -> Coro<Scene> { co_return Scene{operate, no_child_is_left}; }};
}

}  // namespace

void add_process_operations(Operations& all) {
    all.push_back(on_child("create_subprocess_exec, wait", executes));
    all.push_back(on_child("create_subprocess_shell, read", runs_shell));
    all.push_back(on_child("Process.communicate", communicates));
    all.push_back(on_child("create_subprocess_exec of nothing", cannot_start));
    all.push_back(on_child("subprocess_exec", over_protocol));
}

}  // namespace asyncio::proof
