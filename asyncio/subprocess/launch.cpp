// SPDX-License-Identifier: MIT
#include <asyncio/os/error.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/subprocess/launch.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string_view>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace asyncio::subprocess {

namespace {

constexpr int kStreams = 3;
constexpr const char* kNames[] = {"stdin_", "stdout_", "stderr_"};

void refuse_null_bytes(const std::vector<std::string>& texts) {
    for (const std::string& text : texts)
        if (text.find('\0') != std::string::npos)
            throw std::invalid_argument("embedded null byte in an argument of a program");
}

std::vector<const char*> pointers_to(const std::vector<std::string>& texts) {
    std::vector<const char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (const std::string& text : texts) pointers.push_back(text.c_str());
    pointers.push_back(nullptr);
    return pointers;
}

const char* name_of(os::SpawnStep step) noexcept {
    switch (step) {
        case os::SpawnStep::clone:
            return "start a process for ";
        case os::SpawnStep::descriptors:
            return "pass descriptors to ";
        case os::SpawnStep::session:
            return "make a session for ";
        case os::SpawnStep::process_group:
            return "set the process group of ";
        case os::SpawnStep::limits:
            return "set the limits of ";
        case os::SpawnStep::groups:
            return "set the groups of ";
        case os::SpawnStep::group:
            return "set the group of ";
        case os::SpawnStep::user:
            return "set the user of ";
        case os::SpawnStep::directory:
            return "change the directory of ";
        case os::SpawnStep::program:
            return "run ";
    }
    return "start ";
}

}  // namespace

std::vector<std::string> words_of(std::initializer_list<std::string_view> words) {
    return {words.begin(), words.end()};
}

Launch::Launch(const SubprocessOptions& options, std::vector<std::string> arguments)
    : arguments_(std::move(arguments)),
      limit_(options.limit),
      directory_(options.cwd),
      pass_fds_(options.pass_fds.begin(), options.pass_fds.end()),
      limits_(options.limits.begin(), options.limits.end()),
      options_(options) {
    if (arguments_.empty() || arguments_.front().empty())
        throw std::invalid_argument("no program to run");
    if (limit_ == 0) throw std::invalid_argument("Limit cannot be <= 0");
    refuse_null_bytes(arguments_);
    refuse_null_bytes({directory_});
    if (options.env) {
        environment_.emplace(options.env->begin(), options.env->end());
        refuse_null_bytes(*environment_);
        for (const std::string& entry : *environment_)
            if (entry.find('=') == std::string::npos)
                throw std::invalid_argument("not NAME=value in an environment: " + entry);
    }
    if (options.extra_groups)
        groups_.emplace(options.extra_groups->begin(), options.extra_groups->end());
    const Stdio given[] = {options.stdin_, options.stdout_, options.stderr_};
    for (int i = 0; i < kStreams; ++i) {
        streams_[i].stdio = given[i];
        if (given[i].kind == Stdio::Kind::standard_output && i != 2)
            throw std::invalid_argument("STDOUT can only be used for stderr_");
        if (given[i].kind == Stdio::Kind::descriptor && !os::is_open(given[i].descriptor))
            throw std::invalid_argument(std::string(kNames[i]) + " is no open descriptor");
    }
    for (const int fd : pass_fds_)
        if (fd < kStreams || !os::is_open(fd))
            throw std::invalid_argument("pass_fds: " + std::to_string(fd) +
                                        " is no open descriptor above 2");
}

void Launch::open_pipe(int number, OurEnds& ends) {
    int fds[2];
    const int result = os::make_blocking_pipe(fds[0], fds[1]);
    if (result != 0) os::throw_system_error(-result, "make a pipe for " + program());
    const bool child_reads = number == 0;
    streams_[number].theirs.reset(fds[child_reads ? 0 : 1]);
    ends.pipes[number].reset(fds[child_reads ? 1 : 0]);
}

void Launch::open_terminal(OurEnds& ends) {
    if (os::simulated_system != nullptr)
        os::throw_system_error(EOPNOTSUPP, "make a terminal for " + program() +
                                               ": a simulated host has pipes only, no PTY");
    os::Fd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!master || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0)
        os::throw_system_error(errno, "make a terminal for " + program());
    const int slave = ::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0) os::throw_system_error(errno, "open a terminal for " + program());
    their_terminal_.reset(slave);
    winsize size = {};
    size.ws_row = options_.terminal.rows;
    size.ws_col = options_.terminal.columns;
    ::ioctl(master.get(), TIOCSWINSZ, &size);
    ends.terminal = std::move(master);
}

void Launch::open_stream(int number, OurEnds& ends) {
    Stream& stream = streams_[number];
    switch (stream.stdio.kind) {
        case Stdio::Kind::pipe:
            return open_pipe(number, ends);
        case Stdio::Kind::null:
            stream.theirs.reset(
                ::open("/dev/null", (number == 0 ? O_RDONLY : O_WRONLY) | O_CLOEXEC));
            if (!stream.theirs) os::throw_system_error(errno, "open /dev/null");
            return;
        case Stdio::Kind::terminal:
            if (!their_terminal_) open_terminal(ends);
            ends.on_terminal[number] = true;
            return;
        case Stdio::Kind::inherit:
        case Stdio::Kind::standard_output:
        case Stdio::Kind::descriptor:
            return;
    }
}

std::vector<os::DescriptorMapping> Launch::mappings() const {
    std::vector<os::DescriptorMapping> result;
    const auto lead = [&](int child, int ours) {
        if (os::is_open(ours))
            result.push_back({child, ours});  // ours may be closed, as a daemon's are
    };
    for (int i = 0; i < kStreams; ++i) {
        const Stream* stream = &streams_[i];
        int number = i;
        if (stream->stdio.kind == Stdio::Kind::standard_output) stream = &streams_[number = 1];
        switch (stream->stdio.kind) {
            case Stdio::Kind::descriptor:
                lead(i, stream->stdio.descriptor);
                break;
            case Stdio::Kind::terminal:
                lead(i, their_terminal_.get());
                break;
            case Stdio::Kind::pipe:
            case Stdio::Kind::null:
                lead(i, stream->theirs.get());
                break;
            case Stdio::Kind::inherit:
            case Stdio::Kind::standard_output:
                lead(i, number);
                break;
        }
    }
    for (const int fd : pass_fds_) lead(fd, fd);
    return result;
}

/// Where the program may be: as execvp looks, with the PATH it will have.
std::vector<std::string> Launch::candidates() const {
    if (program().find('/') != std::string::npos) return {program()};
    std::string_view path = "/bin:/usr/bin";
    if (!environment_) {
        if (const char* ours = std::getenv("PATH")) path = ours;
    } else {
        // Of several the first counts, as for getenv().
        const auto entry = std::ranges::find_if(
            *environment_, [](const std::string& e) { return e.starts_with("PATH="); });
        if (entry != environment_->end()) path = std::string_view(*entry).substr(5);
    }
    std::vector<std::string> result;
    while (true) {
        const std::size_t colon = path.find(':');
        const std::string_view directory = path.substr(0, colon);
        result.push_back(directory.empty() ? program() : std::string(directory) + "/" + program());
        if (colon == std::string_view::npos) return result;
        path.remove_prefix(colon + 1);
    }
}

void Launch::throw_failure(const os::Spawned& spawned) const {
    std::string what = name_of(spawned.failed) + program();
    if (spawned.failed == os::SpawnStep::directory) what += " to " + directory_;
    os::throw_system_error(spawned.error, what);
}

void Launch::rethrow_of_ends() const {
    try {
        throw;
    } catch (const std::bad_alloc&) {
        os::throw_system_error(ENOMEM, "open the pipes of " + program());
    }
}

os::Spawned Launch::run(OurEnds& ends) {
    for (int i = 0; i < kStreams; ++i) open_stream(i, ends);
    const auto places = candidates();
    const auto place_pointers = pointers_to(places);
    const auto argument_pointers = pointers_to(arguments_);
    const auto descriptors = mappings();
    std::vector<const char*> environment;
    if (environment_) environment = pointers_to(*environment_);
    os::SpawnRequest request;
    request.candidates = place_pointers.data();
    request.arguments = argument_pointers.data();
    request.environment = environment_ ? environment.data() : environ;
    request.descriptors = descriptors;
    request.directory = directory_.empty() ? nullptr : directory_.c_str();
    request.new_session = options_.start_new_session;
    for (int i = kStreams - 1; i >= 0; --i)
        if (ends.on_terminal[i]) request.terminal = i;
    request.process_group = options_.process_group;
    request.umask = options_.umask;
    request.user = options_.user;
    request.group = options_.group;
    if (groups_) request.groups = std::span<const unsigned>(*groups_);
    request.limits = limits_;
    os::Spawned spawned = os::spawn(request);
    for (Stream& stream : streams_) stream.theirs.reset();
    their_terminal_.reset();
    if (spawned.error != 0) throw_failure(spawned);
    return spawned;
}

}  // namespace asyncio::subprocess
