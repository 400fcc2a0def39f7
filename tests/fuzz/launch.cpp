// SPDX-License-Identifier: MIT
//
// Launch: any program, arguments, environment, directory and descriptors. What reaches the system
// is what was given, the program is looked for as execvp would, nothing with a NUL gets there, and
// every end of a pipe is closed once, whatever fails.
//
// covers: subprocess/launch.hpp subprocess/launch.cpp
#include <asyncio/subprocess/launch.hpp>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <unistd.h>

#include "fuzz.hpp"
#include "stand_in_system.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;
using Texts = std::vector<std::string>;

Texts texts_of(const char* const* pointers) {
    Texts texts;
    for (; *pointers != nullptr; ++pointers) texts.emplace_back(*pointers);
    return texts;
}

/// Where execvp looks for it.
Texts places(const std::string& program, const Texts& environment) {
    if (program.find('/') != std::string::npos) return {program};
    std::string path = "/bin:/usr/bin";
    for (size_t i = environment.size(); i-- > 0;)
        if (environment[i].starts_with("PATH=")) path = environment[i].substr(5);
    Texts result;
    for (size_t from = 0; from <= path.size();) {
        const size_t to = std::min(path.find(':', from), path.size());
        const std::string directory = path.substr(from, to - from);
        result.push_back(directory.empty() ? program : directory + "/" + program);
        from = to + 1;
    }
    return result;
}

class System final : public StandInSystem, public os::SimulatedPrograms {
  public:
    explicit System(Input& bytes) : input(bytes) {}

    int make() {
        open.push_back(true);
        return os::kFirstSimulated + static_cast<int>(open.size()) - 1;
    }
    bool is_open(int fd) const { return open.at(static_cast<size_t>(fd - os::kFirstSimulated)); }
    void close(int fd) noexcept override {
        FUZZ_CHECK(is_open(fd));
        open[static_cast<size_t>(fd - os::kFirstSimulated)] = false;
    }
    int make_pipe(int& read_end, int& write_end) noexcept override {
        if (input.below(16) == 1) return failed = true, -EMFILE;
        read_end = make();
        write_end = make();
        return 0;
    }
    os::SimulatedPrograms& programs() noexcept override { return *this; }

    os::Spawned spawn(const os::SpawnRequest& request) override {
        FUZZ_CHECK(!spawned);
        spawned = true;
        candidates = texts_of(request.candidates);
        arguments = texts_of(request.arguments);
        environment = texts_of(request.environment);
        for (const os::DescriptorMapping& mapping : request.descriptors)
            FUZZ_CHECK(mapping.parent < os::kFirstSimulated || is_open(mapping.parent));
        if (request.groups) groups.assign(request.groups->begin(), request.groups->end());
        descriptors.assign(request.descriptors.begin(), request.descriptors.end());
        os::Spawned result;
        if (input.below(4) == 1) {
            failed = true;
            result.error = ENOENT;
            result.failed = static_cast<os::SpawnStep>(input.below(10));
        }
        return result;
    }
    os::ExitStatus reap(int) noexcept override { return {}; }
    int send_signal(int, int) override { return 0; }

    Input& input;
    std::vector<bool> open;
    bool spawned = false;
    bool failed = false;
    Texts candidates, arguments, environment;
    std::vector<os::DescriptorMapping> descriptors;
    std::vector<unsigned> groups;
};

struct Wanted {
    Texts arguments;
    Texts environment;
    std::string directory;
    Stdio streams[3];
    std::vector<int> passed;
    std::vector<unsigned> groups;

    Wanted(Input& input, System& system) {
        for (size_t count = input.below(4); count > 0; --count)
            arguments.emplace_back(input.text(input.below(8)));
        for (size_t count = input.below(4); count > 0; --count)
            environment.push_back((input.chance() ? "PATH=" : "") +
                                  std::string(input.text(input.below(12))));
        directory = input.text(input.below(4));
        for (Stdio& stream : streams) {
            const size_t kind = input.below(7);
            if (kind == 1) stream = PIPE;
            if (kind == 2) stream = STDOUT;
            if (kind == 3) stream = Stdio(system.make());
            if (kind == 4) stream = Stdio(-1);
            if (kind == 5) stream = DEVNULL;
            if (kind == 6) stream = PTY;
        }
        for (size_t count = input.below(3); count > 0; --count)
            passed.push_back(input.below(8) == 1 ? 1 : system.make());
        for (size_t count = input.below(4); count > 1; --count) groups.push_back(input.byte());
    }

    /// There is none on this system.
    bool needs_terminal() const {
        return std::ranges::any_of(
            streams, [](const Stdio& stream) { return stream.kind == Stdio::Kind::terminal; });
    }

    bool is_valid() const {
        if (arguments.empty() || arguments.front().empty()) return false;
        bool valid = directory.find('\0') == std::string::npos;
        for (const std::string& text : arguments) valid &= text.find('\0') == std::string::npos;
        for (const std::string& text : environment)
            valid &= text.find('\0') == std::string::npos && text.find('=') != std::string::npos;
        for (int i = 0; i < 3; ++i) {
            valid &= streams[i].kind != Stdio::Kind::standard_output || i == 2;
            valid &= streams[i].kind != Stdio::Kind::descriptor || streams[i].descriptor >= 0;
        }
        for (const int fd : passed) valid &= fd > 2;
        return valid;
    }
};

bool leads(const System& system, int child, int parent) {
    for (const os::DescriptorMapping& mapping : system.descriptors)
        if (mapping.child == child && mapping.parent == parent) return true;
    return false;
}

void check_request(const System& system, const Wanted& wanted) {
    FUZZ_CHECK(system.arguments == wanted.arguments);
    FUZZ_CHECK(system.environment == wanted.environment);
    FUZZ_CHECK(system.groups == wanted.groups);
    FUZZ_CHECK(system.candidates == places(wanted.arguments.front(), wanted.environment));
    for (const int fd : wanted.passed) FUZZ_CHECK(leads(system, fd, fd));
    for (int i = 0; i < 3; ++i)
        if (wanted.streams[i].kind == Stdio::Kind::descriptor)
            FUZZ_CHECK(leads(system, i, wanted.streams[i].descriptor));
}

void launch(System& system, const Wanted& wanted) {
    SubprocessOptions options;
    options.stdin_ = wanted.streams[0];
    options.stdout_ = wanted.streams[1];
    options.stderr_ = wanted.streams[2];
    options.cwd = wanted.directory;
    options.env = wanted.environment;
    options.pass_fds = wanted.passed;
    if (!wanted.groups.empty()) options.extra_groups = wanted.groups;
    const size_t given = system.open.size();
    try {
        subprocess::Launch launched(options, wanted.arguments);
        FUZZ_CHECK(wanted.is_valid());
        subprocess::OurEnds ends;
        launched.run(ends);
        FUZZ_CHECK(system.spawned && !system.failed && !wanted.needs_terminal());
        for (int i = 0; i < 3; ++i)
            FUZZ_CHECK(static_cast<bool>(ends.pipes[i]) ==
                       (wanted.streams[i].kind == Stdio::Kind::pipe));
    } catch (const std::invalid_argument&) {
        FUZZ_CHECK(!wanted.is_valid() && !system.spawned);
    } catch (const std::system_error&) {
        FUZZ_CHECK(system.failed || (wanted.needs_terminal() && !system.spawned));
    }
    if (system.spawned) check_request(system, wanted);
    for (size_t i = 0; i < system.open.size(); ++i) FUZZ_CHECK(system.open[i] == (i < given));
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(launch) {
    using namespace asyncio::fuzz;
    System system(input);
    const StandInSystem::Turn turn(system);
    const Wanted wanted(input, system);
    launch(system, wanted);
}
