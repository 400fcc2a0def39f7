// SPDX-License-Identifier: MIT
//
// A program of a simulated host that does what the bytes say; and what whoever starts it has to
// know of it: the signals that were sent to it, whether its return code and its output are right.
#pragma once

#include <asyncio/subprocess/process.hpp>
#include <asyncio/subprocess/subprocess_transport.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/testing/child_program.hpp>

#include <cerrno>
#include <csignal>
#include <optional>
#include <set>
#include <system_error>
#include <vector>

#include "fuzz.hpp"

namespace asyncio::fuzz {

/// `size` bytes of one kind, all different from their neighbours.
inline std::string pattern(char first, std::size_t from, std::size_t size) {
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(first + from++ % 23);
    return text;
}

inline std::size_t some_size(Input& input) {
    return input.below(8) == 1 ? input.number(2) : input.below(50);
}

inline Duration some_time(Input& input) {
    return input.below(4) == 1 ? Duration(input.below(20) * std::chrono::milliseconds(1))
                               : Duration::zero();
}

/// What the program does, and has done. It writes small letters to its output, large ones to its
/// errors.
struct ScriptedProgram {
    enum class Act : std::uint8_t { write, drain, read, read_all, sleep, close };
    struct Step {
        Act act;
        int fd;
        std::size_t size;
    };

    explicit ScriptedProgram(Input& input) {
        for (std::size_t count = input.below(12); count > 0; --count) {
            constexpr Act kActs[] = {Act::write, Act::write,    Act::write, Act::drain,
                                     Act::read,  Act::read_all, Act::sleep, Act::close};
            Step step{kActs[input.below(8)], input.chance() ? 1 : 2, some_size(input)};
            if (step.act == Act::close && input.below(4) != 1) step.act = Act::drain;
            steps.push_back(step);
        }
        code = static_cast<int>(input.below(5));
        tidies = input.below(4) == 1;
    }

    Coro<int> run(testing::ChildProgram& self) {
        FUZZ_CHECK(!std::exchange(begun, true));
        try {
            for (const Step& step : steps) co_await take(self, step);
        } catch (const CancelledError&) {
            if (!tidies) throw;
            code = 77;
        }
        returned = code;
        co_return code;
    }

    std::vector<Step> steps;
    int code = 0;
    bool tidies = false;  // when it is asked to end
    bool begun = false;
    std::optional<int> returned;
    std::string wrote[3];
    bool closed[3] = {};
    std::string got;
    bool got_end = false;

  private:
    /// A far end that is gone is none of its business.
    template <class T>
    static void check(const Outcome<T>& outcome) {
        if (!outcome && outcome.cancelled()) std::rethrow_exception(outcome.error());
    }
    Coro<> take(testing::ChildProgram& self, Step step) {
        StreamWriter& writer = step.fd == 1 ? self.stdout_() : self.stderr_();
        switch (step.act) {
            case Act::write:
                if (closed[step.fd]) co_return;
                write(writer, step);
                co_return;
            case Act::drain:
                check(co_await as_outcome(writer.drain()));
                co_return;
            case Act::read: {
                const auto read = co_await as_outcome(self.stdin_().read(step.size + 1));
                check(read);
                if (read) got += *read;
                got_end |= read && read->empty();
                co_return;
            }
            case Act::read_all: {
                // Piece by piece: a read that is cancelled keeps what it has.
                const Step piece{Act::read, 0, 1000};
                while (!got_end) co_await take(self, piece);
                co_return;
            }
            case Act::sleep:
                co_await sleep(step.size % 1000 * std::chrono::milliseconds(1));
                co_return;
            case Act::close:
                closed[step.fd] = true;
                writer.close();
                co_return;
        }
    }
    void write(StreamWriter& writer, const Step& step) {
        const std::string text =
            pattern(step.fd == 1 ? 'a' : 'A', wrote[step.fd].size(), step.size);
        wrote[step.fd] += text;
        writer.write(text);
    }
};

/// How it is started, and what became of it.
class ProgramStarter {
  public:
    ProgramStarter(Input& bytes, ScriptedProgram& started) : input(bytes), program(started) {
        if (input.below(8) != 1) options.stdin_ = PIPE;
        if (input.below(8) != 1) options.stdout_ = PIPE;
        const std::size_t kind = input.below(8);
        options.stderr_ = kind == 1 ? DEVNULL : kind == 2 ? STDOUT : PIPE;
        options.limit = 1 + some_size(input);
    }

    bool leads_here(int fd) const {
        const Stdio all[] = {options.stdin_, options.stdout_, options.stderr_};
        return all[fd].kind == Stdio::Kind::pipe;
    }
    /// One of those that end it, stop it or do nothing; ESRCH once the end is known.
    template <class Running>
    void signal(Running& running) {
        constexpr int kSignals[] = {SIGTERM, SIGKILL, SIGSTOP, SIGCONT, SIGUSR1, SIGCHLD, 0};
        const int number = kSignals[input.below(std::size(kSignals))];
        if (number == SIGKILL && input.below(4) != 1) return;
        send(running, number);
    }
    template <class Running>
    void send(Running& running, int number) {
        const bool ended = returncode_of(running).has_value();
        bool refused = false;
        try {
            if (number == SIGTERM)
                running.terminate();
            else if (number == SIGKILL)
                running.kill();
            else
                running.send_signal(number);
        } catch (const std::system_error& error) {
            refused = error.code().value() == ESRCH;
        }
        FUZZ_CHECK(refused == ended);
        sent.insert(number);
    }

    void check_returncode(int code) const {
        const bool by_signal = code < 0 && sent.contains(-code);
        FUZZ_CHECK(by_signal || program.returned == code);
        FUZZ_CHECK(is_disturbed() || program.returned == code);
    }
    /// Somebody may have ended it.
    bool is_disturbed() const {
        return sent.contains(SIGTERM) || sent.contains(SIGKILL) || sent.contains(SIGUSR1);
    }
    /// What came out of `fd`, of all that the program wrote; `whole`: to the end, and by nobody
    /// disturbed.
    void check_output(int fd, const std::string& text, bool whole) const {
        std::string parts[3];
        for (const char c : text) parts[c >= 'a' ? 1 : 2] += c;
        const bool both = fd == 1 && options.stderr_.kind == Stdio::Kind::standard_output;
        for (const int part : {1, 2}) {
            if (part != fd && !both) {
                FUZZ_CHECK(parts[part].empty());
            } else {
                FUZZ_CHECK(program.wrote[part].starts_with(parts[part]));
                if (whole) FUZZ_CHECK(program.wrote[part] == parts[part]);
            }
        }
    }

    Input& input;
    ScriptedProgram& program;
    SubprocessOptions options;
    std::set<int> sent;

  private:
    static std::optional<int> returncode_of(const SubprocessTransport& transport) {
        return transport.get_returncode();
    }
    static std::optional<int> returncode_of(const Process& process) { return process.returncode(); }
};

}  // namespace asyncio::fuzz
