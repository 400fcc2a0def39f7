// SPDX-License-Identifier: MIT
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/stream/stream_core.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/testing/program_table.hpp>
#include <asyncio/testing/simulated_socket.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>

namespace asyncio::testing {

namespace {

constexpr std::size_t kStreamLimit = 64 * 1024;
constexpr int kNotFound = 127;  // the shell's status for a name that nobody has

std::string_view last_part(std::string_view path) noexcept {
    return path.substr(path.find_last_of('/') + 1);
}

std::vector<std::string> strings_of(const char* const* texts) {
    std::vector<std::string> strings;
    for (; texts != nullptr && *texts != nullptr; ++texts) strings.emplace_back(*texts);
    return strings;
}

/// The words of a command, as far as a shell would leave them alone.
std::vector<std::string> words_of(std::string_view command) {
    std::vector<std::string> words;
    bool inside = false;
    char quote = '\0';
    for (const char c : command) {
        if (quote == '\0' && (c == ' ' || c == '\n' || c == '\t')) {
            inside = false;
            continue;
        }
        if (!std::exchange(inside, true)) words.emplace_back();
        if (quote == '\0' && (c == '\'' || c == '"'))
            quote = c;
        else if (c == quote)
            quote = '\0';
        else
            words.back() += c;
    }
    if (!words.empty() && words.front() == "exec") words.erase(words.begin());
    return words;
}

}  // namespace

// --- what a program knows ------------------------------------------------------------------------

std::optional<std::string> ChildProgram::environment(std::string_view name) const {
    for (const std::string& entry : environment_) {
        const std::size_t end = entry.find('=');
        if (std::string_view(entry).substr(0, end) == name) return entry.substr(end + 1);
    }
    return std::nullopt;
}

bool ChildProgram::has(int number) const noexcept {
    return std::ranges::any_of(descriptors_,
                               [&](const auto& own) { return own.first == number && own.second; });
}

int ChildProgram::inherited(int number) noexcept {
    for (auto& [own, fd] : descriptors_)
        if (own == number) return fd.release();
    return -1;
}

void ChildProgram::open_streams(EventLoop& loop) {
    for (auto& [number, fd] : descriptors_) {
        if (number > 2) continue;
        Ref<stream::StreamCore>& core = cores_[number];
        core = Ref<stream::StreamCore>(new stream::StreamCore(kStreamLimit));
        net::SocketTransport::open_pipe(loop, fd.get(), core,
                                        number == 0 ? net::Direction::read : net::Direction::write);
        (void)fd.release();  // taken now
    }
    stdin_reader_.emplace(cores_[0]);
    stdout_writer_.emplace(cores_[1]);
    stderr_writer_.emplace(cores_[2]);
}

/// What was written is written out, as far as somebody reads it.
Coro<> ChildProgram::close_streams() {
    StreamWriter* const writers[] = {&*stdout_writer_, &*stderr_writer_};
    for (StreamWriter* const writer : writers) {
        writer->close();
        Outcome<void> closed = co_await as_outcome(writer->wait_closed());
        if (closed.cancelled()) closed.value();
    }
    abort_streams();
}

void ChildProgram::abort_streams() noexcept {
    for (const Ref<stream::StreamCore>& core : cores_)
        if (core && core->transport() != nullptr) core->transport()->abort();
}

// --- what runs -----------------------------------------------------------------------------------

struct ProgramTable::Running {
    Running(Network& network, NetworkHost& host, const std::string& name, std::string& failure)
        : process(network, host, name, failure) {}

    Coro<> run();

    ChildProgram self;
    ProgramStub* stub = nullptr;
    std::shared_ptr<SimulatedExit> exit;
    bool stopped = false;
    bool closed = false;
    int signal = 0;                 // the last one that cancelled it
    std::optional<int> returncode;  // empty: cancelled before it began
    SimulatedProcess process;       // before all it uses
};

Coro<> ProgramTable::Running::run() {
    EventLoop& loop = get_running_loop();
    self.open_streams(loop);
    const Outcome<int> outcome = co_await as_outcome((*stub)(loop, self));
    if (outcome) {
        returncode = *outcome;
        co_await self.close_streams();
    } else {
        returncode = outcome.cancelled() && signal != 0 ? -signal : 1;
        self.abort_streams();
        if (!outcome.cancelled()) std::rethrow_exception(outcome.error());
    }
}

ProgramTable::ProgramTable(Network& network, NetworkHost& host,
                           std::vector<UniqueFunction<void()>>& commands, std::string& failure)
    : network_(network), host_(host), commands_(commands), failure_(failure) {}

ProgramTable::~ProgramTable() = default;

void ProgramTable::add(std::string name, ProgramStub stub) {
    stubs_.emplace_back(std::move(name), std::make_unique<ProgramStub>(std::move(stub)));
}

/// The one that was added last.
ProgramStub* ProgramTable::stub_named(std::string_view path) {
    for (auto stub = stubs_.rbegin(); stub != stubs_.rend(); ++stub)
        if (stub->first == path || stub->first == last_part(path)) return stub->second.get();
    return nullptr;
}

ProgramStub* ProgramTable::stub_for(const os::SpawnRequest& request) {
    for (const char* const* place = request.candidates; *place != nullptr; ++place)
        if (ProgramStub* const stub = stub_named(*place)) return stub;
    return nullptr;
}

/// "/bin/sh -c command"; null: nobody has that name.
ProgramStub* ProgramTable::stub_of_command(Running& running) {
    running.self.arguments_ = words_of(running.self.arguments_.back());
    if (running.self.arguments_.empty()) return nullptr;
    return stub_named(running.self.arguments_.front());
}

/// Its descriptors are the host's, under other numbers. What is not simulated leads nowhere.
void ProgramTable::inherit(const os::SpawnRequest& request, Running& running) {
    auto& descriptors = running.self.descriptors_;
    for (const os::DescriptorMapping& mapping : request.descriptors) {
        if (!os::is_simulated(mapping.parent)) continue;
        const int fd = host_.duplicate(mapping.parent);
        if (fd >= 0) descriptors.emplace_back(mapping.child, os::Fd(fd));
    }
    for (int number = 0; number < 3; ++number)
        if (!running.self.has(number))
            descriptors.emplace_back(number, os::Fd(host_.open_nowhere()));
}

os::Spawned ProgramTable::spawn(const os::SpawnRequest& request) {
    os::Spawned spawned;
    spawned.failed = os::SpawnStep::program;
    ProgramStub* stub = stub_for(request);
    const bool is_shell = stub == nullptr && last_part(*request.candidates) == "sh";
    if (stub == nullptr && !is_shell) {
        spawned.error = ENOENT;
        return spawned;
    }
    const int pid = ++pids_;
    auto running =
        std::make_unique<Running>(network_, host_,
                                  host_.name() + "/" + std::string(last_part(*request.candidates)) +
                                      " " + std::to_string(pid),
                                  failure_);
    running->self.pid_ = pid;
    running->self.arguments_ = strings_of(request.arguments);
    running->self.environment_ = strings_of(request.environment);
    running->exit = std::make_shared<SimulatedExit>();
    running->exit->pid = pid;
    running->stub = is_shell ? stub_of_command(*running) : stub;
    spawned.pid = pid;
    spawned.pidfd = os::Fd(host_.open_exit(running->exit));
    if (running->stub == nullptr) {
        end(*running, kNotFound);
        return spawned;
    }
    inherit(request, *running);
    running_.push_back(std::move(running));
    commands_.push_back([this, pid] { start(pid); });
    return spawned;
}

void ProgramTable::start(int pid) {
    Running* const program = running(pid);
    if (program == nullptr || program->exit->ended) return;  // killed before it began
    SimulatedProcess::Program run = [program](EventLoop& loop) {
        return loop.create_task([program]() -> Coro<> { co_await program->run(); });
    };
    program->process.start(run);
}

ProgramTable::Running* ProgramTable::running(int pid) noexcept {
    const auto found = std::ranges::find_if(
        running_, [&](const auto& program) { return program->self.pid_ == pid; });
    return found == running_.end() ? nullptr : found->get();
}

// --- ends ----------------------------------------------------------------------------------------

void ProgramTable::end(Running& program, int returncode) noexcept {
    program.exit->ended = true;
    program.exit->returncode = returncode;
    network_.trace().add(host_.number(), program.exit->pid, returncode);
    host_.note_change();
}

/// Who is closed looks for its own children here, to kill them: none leaves before all are closed.
void ProgramTable::bury_the_dead() {
    for (const auto& program : running_) {
        const bool killed = program->exit->ended;
        if (!killed && !program->process.ended()) continue;
        program->process.close(killed);
        if (!killed) end(*program, program->returncode.value_or(-program->signal));
        program->closed = true;
    }
    std::vector<std::unique_ptr<Running>> dead;
    for (auto& program : running_)
        if (program->closed) dead.push_back(std::move(program));
    if (dead.empty()) return;
    std::erase(running_, nullptr);
    const OnHost here(host_);
    dead.clear();
    // Their own children were killed with them.
    if (std::ranges::any_of(running_, [](const auto& program) { return program->exit->ended; }))
        bury_the_dead();
}

void ProgramTable::lose_power() noexcept {
    for (const auto& program : running_) program->process.close(true);
    running_.clear();
}

os::ExitStatus ProgramTable::reap(int pidfd) noexcept {
    SimulatedExit* const exit = host_.exit_of(pidfd);
    if (exit == nullptr || exit->reaped)
        return os::ExitStatus{.ended = true, .lost = true, .returncode = 255};
    if (!exit->ended) return os::ExitStatus{};
    exit->reaped = true;
    return os::ExitStatus{.ended = true, .lost = false, .returncode = exit->returncode};
}

int ProgramTable::send_signal(int pidfd, int signal) {
    const SimulatedExit* const exit = host_.exit_of(pidfd);
    if (exit == nullptr) return -EBADF;
    if (exit->reaped) return -ESRCH;
    Running* const program = running(exit->pid);
    if (exit->ended || program == nullptr) return 0;  // a zombie
    deliver(*program, signal);
    return 0;
}

void ProgramTable::deliver(Running& program, int signal) {
    switch (signal) {
        case 0:
        case SIGCHLD:
        case SIGURG:
        case SIGWINCH:
            return;
        case SIGKILL:
            return end(program, -SIGKILL);
        case SIGSTOP:
        case SIGCONT:
            program.stopped = signal == SIGSTOP;
            return;
        default:
            break;
    }
    commands_.push_back([this, pid = program.self.pid_, signal] {
        Running* const found = running(pid);
        if (found == nullptr || found->exit->ended) return;
        found->signal = signal;
        found->process.cancel();
    });
}

int ProgramTable::signal_all(std::string_view name, int signal) {
    int count = 0;
    for (const auto& program : running_) {
        if (program->exit->ended || last_part(program->self.arguments_.front()) != name) continue;
        deliver(*program, signal);
        ++count;
    }
    return count;
}

// --- turns ---------------------------------------------------------------------------------------

void ProgramTable::add_ready(std::vector<SimulatedProcess*>& ready) const {
    for (const auto& program : running_)
        if (!program->stopped && !program->exit->ended && program->process.can_go_on())
            ready.push_back(&program->process);
}

std::optional<TimePoint> ProgramTable::next_wakeup() const {
    std::optional<TimePoint> next;
    for (const auto& program : running_) {
        if (program->stopped || program->exit->ended) continue;
        const std::optional<TimePoint> wakeup = program->process.next_wakeup();
        if (wakeup && (!next || *wakeup < *next)) next = wakeup;
    }
    return next;
}

std::string ProgramTable::stacks() const {
    std::string text;
    for (const auto& program : running_)
        text += "\nprogram " + std::to_string(program->self.pid_) + " (" +
                program->self.arguments_.front() + "):\n" + program->process.stacks();
    return text;
}

}  // namespace asyncio::testing
