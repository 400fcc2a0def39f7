// SPDX-License-Identifier: MIT
//
// Process: a program that runs beside us, with its standard streams.
//
//     auto proc = co_await asyncio::create_subprocess_exec({.stdout_ = asyncio::PIPE}, "ls", "-l");
//     auto [out, err] = co_await proc.communicate();
//     if (*proc.returncode() != 0) ...
//
// A program that cannot be started is a std::system_error here, naming it: "run nosuch: No such
// file or directory". It starts with every signal at its default and with no descriptor of ours but
// those it was given.
//
// Nothing is left behind: a Process that is dropped closes its pipes, and the loop reaps the
// program when it ends. It is not killed then, only when the loop closes.
//
// Only what was started here is reaped. A program that is process 1 of a container inherits the
// orphans of others besides; those are an init's business (docker run --init), not ours.
//
// wait() waits for the end of the program, not of its streams: a grandchild may hold them open for
// long. Do not wait() for a program that fills a pipe nobody reads: use communicate().
//
// Threads: the loop's. Cancellation: of wait() and communicate() leaves the program running and
// loses nothing that was read: ask again.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/writer.hpp>
#include <asyncio/subprocess/options.hpp>

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

namespace subprocess {
class Child;
}

/// What a program wrote; empty for what does not lead to us.
struct Communicated {
    std::string out;
    std::string err;
};

class Process {
  public:
    /// For create_subprocess_exec. Null cores: streams that do not lead to us.
    Process(Ref<subprocess::Child> child, Ref<stream::StreamCore> in, Ref<stream::StreamCore> out,
            Ref<stream::StreamCore> err);
    Process(Process&&) noexcept;
    Process& operator=(Process&& other) noexcept;
    ~Process();

    /// The streams that were PIPE or PTY; std::logic_error for others.
    StreamWriter& stdin_();
    StreamReader& stdout_();
    StreamReader& stderr_();

    int pid() const noexcept;
    /// Empty while it runs; its exit status, or -N if signal N ended it. 255 (and a warning in the
    /// log) if somebody else took the status: waitpid(-1, ...), or an ignored SIGCHLD.
    std::optional<int> returncode() const noexcept;

    /// Wait for the end; the return code. Any number of tasks may.
    Coro<int> wait() const;

    /// Write `input`, close stdin_(), read everything there is, wait for the end. An early end of
    /// the program's interest in the input is no error. After a cancelled one: what was read is
    /// kept for the next, which begins with its own input.
    /// A PTY's input is ended with Ctrl-D: it has to end with a newline.
    Coro<Communicated> communicate(std::string input = {});

    /// std::system_error (ESRCH) once the end is known.
    void send_signal(int signal) const;
    void terminate() const;
    void kill() const;

    /// With PTY: tell the program that its terminal has changed.
    void set_terminal_size(TerminalSize size) const;

  private:
    void close_streams() noexcept;

    Ref<subprocess::Child> child_;
    Ref<stream::StreamCore> in_;
    Ref<stream::StreamCore> out_;
    Ref<stream::StreamCore> err_;
    // Without a core: of a stream that does not lead to us.
    StreamWriter writer_;
    StreamReader reader_;
    StreamReader error_reader_;
};

namespace subprocess {
Coro<Process> start(SubprocessOptions options, std::vector<std::string> words);
}

/// Run `program` (looked for in PATH unless it has a slash) with `arguments`, without a shell.
/// std::invalid_argument for bad options, std::system_error if it cannot be started.
template <class... Arguments>
    requires(std::convertible_to<Arguments, std::string_view> && ...)
ASYNCIO_CORO_WRAPPER Coro<Process> create_subprocess_exec(SubprocessOptions options,
                                                          std::string_view program,
                                                          const Arguments&... arguments) {
    return subprocess::start(options,
                             subprocess::words_of({program, std::string_view(arguments)...}));
}
template <class Program, class... Arguments>
    requires(std::convertible_to<Program, std::string_view> &&
             (std::convertible_to<Arguments, std::string_view> && ...))
ASYNCIO_CORO_WRAPPER Coro<Process> create_subprocess_exec(const Program& program,
                                                          const Arguments&... arguments) {
    return create_subprocess_exec(SubprocessOptions(), std::string_view(program), arguments...);
}
/// The same; the first argument is the program.
Coro<Process> create_subprocess_exec(SubprocessOptions options, std::vector<std::string> arguments);

/// Run `command` with /bin/sh -c. Never put unchecked text of others into it.
Coro<Process> create_subprocess_shell(SubprocessOptions options, std::string_view command);
Coro<Process> create_subprocess_shell(std::string_view command);

}  // namespace asyncio
