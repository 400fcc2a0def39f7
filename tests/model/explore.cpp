// SPDX-License-Identifier: MIT
//
// usage: g06_models [--list] [--slice | --nightly] [--only MODEL]
//
// Explores every model, each in a process of its own, and says how many runs that were. A model
// that fails is shown: what happened last, and in which threads.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <initializer_list>

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checker.hpp"

namespace model {

namespace {

constinit Model* first = nullptr;
const Model* exploring = nullptr;
bool verbose = false;

struct Step {
    const char* what;
    const void* at;
    std::uint64_t value;
    const void* caller;
    int thread;
};
constexpr int kSteps = 48;
Step steps[kSteps];
std::uint64_t step_count = 0;

void print_steps(std::FILE* out) noexcept {
    const std::uint64_t begin = step_count > kSteps ? step_count - kSteps : 0;
    for (std::uint64_t i = begin; i < step_count; ++i) {
        const Step& step = steps[i % kSteps];
        std::fprintf(out, "thread %d  %-18s %14p  %18llx  %p\n", step.thread, step.what, step.at,
                     static_cast<unsigned long long>(step.value), step.caller);
    }
}

/// The last steps, with the places of the code they were made at.
void explain() noexcept {
    char file[] = "/tmp/asyncio_model_XXXXXX";
    const int fd = ::mkstemp(file);
    std::FILE* out = fd < 0 ? nullptr : ::fdopen(fd, "w");
    if (out == nullptr) return print_steps(stdout);
    print_steps(out);
    std::fclose(out);
    char command[512];
    const int length = std::snprintf(
        command, sizeof command,
        "while read -r line; do echo \"    $line $(addr2line -Cfpse /proc/%d/exe ${line##* } "
        "2>&1 | cut -c -150)\"; done < %s; rm -f %s",
        ::getpid(), file, file);
    std::fflush(stdout);
    if (length < 0 || std::system(command) != 0) print_steps(stdout);
}

void on_crash(int signal) {
    fail(signal == SIGABRT   ? "aborted: an assertion, or an exception that nobody took"
         : signal == SIGALRM ? "stuck in something that the checker does not know"
                             : "crashed");
}

}  // namespace

Registration::Registration(Model& model) noexcept {
    Model** end = &first;
    while (*end != nullptr) end = &(*end)->next;
    *end = &model;
}

Model* all_models() noexcept { return first; }

void note(const char* what, const void* at, std::uint64_t value, const void* caller,
          int thread) noexcept {
    if (thread < 0 && current != nullptr) thread = current->number;
    steps[step_count++ % kSteps] = {what, at, value, caller, thread};
}

void fail(const char* what) noexcept {
    current = nullptr;
    std::printf("    %s: %s (run %llu)\n", exploring->name, what,
                static_cast<unsigned long long>(scheduler.run));
    scheduler.print();
    if (exploring->fault == nullptr) explain();
    std::fflush(stdout);
    ::_exit(1);
}

void Scheduler::print() noexcept {
    for (int i = 0; i < count; ++i) {
        const Thread& thread = threads[i];
        const char* state = thread.state == Thread::State::blocked    ? thread.waits_for
                            : thread.state == Thread::State::finished ? "nothing: it has ended"
                                                                      : "its turn";
        std::printf("    thread %d waits for %s\n", i, state);
    }
}

namespace {

/// All runs within `limits`; anew when a place was found where threads meet. Their number, of those
/// after the last such place.
std::uint64_t explore(const Model& model, const Limits& limits) noexcept {
    static std::uint64_t number = 0;
    scheduler.limits = &limits;
    std::uint64_t count = 0;
    do {
        scheduler.forget_runs();
        meetings.grew = false;
        count = 0;
        do {
            if (++number > limits.runs) fail("more runs than allowed");
            ++count;
            step_count = 0;
            begin_system();
            scheduler.run_once(model.body, number);
            end_system(number > 1);
            if (number % 256 == 0) ::alarm(60);
        } while (!meetings.grew && scheduler.next_run());
    } while (meetings.grew);
    return count;
}

/// Few interruptions first: so most meeting places are found in short explorations, and a fault
/// in the simplest run that shows it.
std::uint64_t explore(const Model& model) noexcept {
    exploring = &model;
    Limits limits = model.limits;
    for (int bound = 0; bound < model.limits.preemptions; ++bound) {
        limits.preemptions = bound;
        limits.stale_reads = 0;
        explore(model, limits);
    }
    return explore(model, model.limits);
}

struct Outcome {
    bool ended = false;
    std::uint64_t count = 0;
    char text[1 << 14] = {};
};

void run_in_child(const Model& model, int output, int counts) {
    ::dup2(output, STDOUT_FILENO);
    if (!verbose) {  // what the library logs in every run
        const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        ::dup2(nowhere, STDERR_FILENO);
    }
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM})
        std::signal(signal, &on_crash);
    // One processor: handing over the baton is quicker than to another one.
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(::sched_getcpu(), &set);
    (void)::sched_setaffinity(0, sizeof set, &set);
    ::alarm(60);
    const std::uint64_t count = explore(model);
    std::fflush(stdout);
    ::_exit(::write(counts, &count, sizeof count) == sizeof count ? 0 : 1);
}

void run(const Model& model, Outcome& outcome) {
    int output[2];
    int counts[2];
    if (::pipe(output) != 0 || ::pipe(counts) != 0) std::abort();
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) run_in_child(model, output[1], counts[1]);
    ::close(output[1]);
    ::close(counts[1]);
    std::size_t length = 0;
    char text[4096];
    for (ssize_t got; (got = ::read(output[0], text, sizeof text)) > 0;) {
        const std::size_t room = sizeof outcome.text - 1 - length;
        const std::size_t kept =
            static_cast<std::size_t>(got) < room ? static_cast<std::size_t>(got) : room;
        std::memcpy(outcome.text + length, text, kept);
        length += kept;
    }
    const bool counted =
        ::read(counts[0], &outcome.count, sizeof outcome.count) == sizeof outcome.count;
    ::close(output[0]);
    ::close(counts[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    outcome.ended = counted && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

double seconds() {
    timespec now;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// One model's line; true if it is as it should be.
bool report(const Model& model, std::uint64_t& sum) {
    static Outcome outcome;
    outcome = Outcome();
    const double begin = seconds();
    run(model, outcome);
    sum += outcome.count;
    const bool found = model.fault != nullptr && std::strstr(outcome.text, model.fault) != nullptr;
    const bool good = model.fault == nullptr ? outcome.ended : !outcome.ended && found;
    std::printf("    %-55s %9llu runs %6.1f s  %s\n", model.name,
                static_cast<unsigned long long>(outcome.count), seconds() - begin,
                !good                    ? "FAILED"
                : model.fault == nullptr ? "holds"
                                         : "fault found");
    if (!good) std::printf("%s", outcome.text);
    if (!good && model.fault != nullptr) std::printf("    expected: %s\n", model.fault);
    return good;
}

struct Total {
    int models = 0;
    int failures = 0;
    std::uint64_t runs = 0;
};

/// More than every push has time for, or less.
void change_limits(Limits& limits, const char* length) {
    if (std::strcmp(length, "--nightly") == 0) {
        ++limits.preemptions;
    } else if (std::strcmp(length, "--slice") == 0) {
        --limits.preemptions;
        limits.stale_reads = 0;
    }
}

int main(int argc, char** argv) {
    const char* only = nullptr;
    const char* length = "";
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = argv[++i];
            verbose = true;
        } else if (std::strcmp(argv[i], "--slice") == 0 || std::strcmp(argv[i], "--nightly") == 0) {
            length = argv[i];
        } else if (std::strcmp(argv[i], "--list") == 0) {
            for (const Model* model = first; model != nullptr; model = model->next)
                std::printf("%s%s\n", model->name, model->fault != nullptr ? " (faulty)" : "");
            return 0;
        } else {
            std::fprintf(stderr, "usage: %s [--list] [--slice | --nightly] [--only MODEL]\n",
                         argv[0]);
            return 2;
        }
    }
    ::setenv("ASYNCIO_BACKEND", "epoll", 1);
    Total library;
    Total checker;
    for (Model* model = first; model != nullptr; model = model->next) {
        if (only != nullptr && std::strcmp(only, model->name) != 0) continue;
        const bool own = model->of == Model::Of::checker;
        if (!own) change_limits(model->limits, length);
        Total& total = own ? checker : library;
        ++total.models;
        if (report(*model, total.runs)) continue;
        ++total.failures;
        if (only == nullptr) std::printf("    again: %s --only %s\n", argv[0], model->name);
    }
    std::printf("G6 model checking: %d models, %llu schedules, %d failures (limit 0)%s\n",
                library.models, static_cast<unsigned long long>(library.runs), library.failures,
                library.failures > 0 ? " MISSED" : "");
    std::printf(
        "G6 the checker itself: %d programs, with a fault or without, %d misjudged (limit 0)%s\n",
        checker.models, checker.failures, checker.failures > 0 ? " MISSED" : "");
    return library.failures + checker.failures > 0 ? 1 : 0;
}

}  // namespace

int run_main(int argc, char** argv) { return main(argc, argv); }

}  // namespace model

int main(int argc, char** argv) { return model::run_main(argc, argv); }
