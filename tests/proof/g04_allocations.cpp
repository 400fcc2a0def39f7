// SPDX-License-Identifier: MIT
//
// G4: every allocation fails once.
//
// operator new is ours, and counts. Each scenario runs once to be counted; then once for each of
// its allocations, with that one failing ("once"), and for a part of them with that one and the
// next hundred failing ("on"). std::bad_alloc may leave the scenario, or be reported to the
// exception handler while the loop goes on; nothing may crash, hang, or stay allocated or open.
// Where memory is gone for long, a scenario may wait for what cannot come until its deadline;
// ending has to work then all the same.
//
// Coroutine frames are allocated one by one here: this program has a frame pool of its own that
// keeps nothing (frame_pool.cpp with ASYNCIO_FRAME_CACHE=0). Memory that is asked for by malloc (C
// library, OpenSSL) does not fail.
//
// Many allocations are tried in one process; a crash costs that process, and the next begins behind
// it. --only SCENARIO:NUMBER:once or :on; PROOF_VERBOSE=1 says where the allocation was.
#include <asyncio/testing/descriptors.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include <execinfo.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "figure.hpp"
#include "forked_run.hpp"
#include "scenarios_ring.hpp"

namespace {

/// What operator new does. In memory that is shared with the parent of the process.
struct Injector {
    std::atomic<bool> on{false};
    std::atomic<std::int64_t> count{0};
    std::atomic<std::int64_t> fail_at{0};  // 0: none
    std::atomic<bool> fail_on{false};      // and what follows
    std::atomic<bool> hit{false};
    void* where[48] = {};
    int depth = 0;
};

/// Without memory for so many more allocations.
constexpr std::int64_t outage = 100;

Injector* injector = nullptr;
std::atomic<std::int64_t> living{0};

bool fails() noexcept {
    if (injector == nullptr || !injector->on.load(std::memory_order_relaxed)) return false;
    const std::int64_t number = ++injector->count;
    const std::int64_t at = injector->fail_at.load(std::memory_order_relaxed);
    if (at == 0 || number < at || number > at + (injector->fail_on ? outage : 0)) return false;
    if (number == at) {
        injector->hit = true;
        injector->depth = ::backtrace(injector->where, 48);
    }
    return true;
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
    if (fails()) return nullptr;
    void* memory =
        alignment <= alignof(std::max_align_t)
            ? std::malloc(size == 0 ? 1 : size)
            : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory != nullptr) living++;
    return memory;
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
    if (void* memory = allocate(size, alignment)) return memory;
    throw std::bad_alloc();
}

void release(void* memory) noexcept {
    if (memory != nullptr) living--;
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size, 0); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 0); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 0); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { release(memory); }

namespace asyncio::proof {
namespace {

/// A number of allocations to fail, one after the other.
struct Range {
    std::int64_t first = 1;
    std::int64_t last = 0;
    std::int64_t step = 1;
    bool on = false;
};

/// In shared memory: how far a child has come, and what it found.
struct Progress {
    Injector injector;
    std::atomic<std::int64_t> number{0};  // being tried
    std::atomic<std::int64_t> began{0};   // when, nanoseconds
    std::atomic<std::int64_t> tried{0};
    std::int64_t counted = 0;
    char violation[1024] = {};
};

constexpr Duration most_time = std::chrono::seconds(5);

void say(Progress& progress, const std::string& text) {
    std::snprintf(progress.violation, sizeof progress.violation, "%s", text.c_str());
}

void end_of_faults() { injector->on = false; }

std::string name_of(const Scenario& scenario, std::int64_t number, bool on) {
    return std::string(scenario.name) + ":" + std::to_string(number) + (on ? ":on" : ":once");
}

/// The child's work. Ends the process at the first violation.
class Trial {
  public:
    Trial(const Scenario& scenario, Environment environment, Progress& progress)
        : scenario_(scenario), environment_(environment), progress_(progress) {
        environment_.ended = &end_of_faults;
        std::set_terminate([] {  // where nothing may be thrown is more telling than what was
            injector->on = false;
            injector->depth = ::backtrace(injector->where, 48);
            std::abort();
        });
        void* warm[4];
        (void)::backtrace(warm, 4);  // it allocates at first
    }

    void count() {
        run_clean();
        run_with(0, false);
        progress_.counted = injector->count;
    }
    void all(const Range& range) {
        run_clean();
        int since_clean = 0;
        for (std::int64_t number = range.first; number <= range.last; number += range.step) {
            progress_.number = number;
            attempt(number, range.on);
            progress_.tried++;
            if (++since_clean % 8 == 0) run_clean();
        }
        run_clean();
    }

  private:
    void attempt(std::int64_t number, bool on) {
        const testing::OpenDescriptors open;
        const auto before = living.load();
        check(run_with(number, on), on);
        if (const auto left = testing::OpenDescriptors::since(open); !left.empty())
            fail("left open: " + left.front());
        // What is kept after the first time is a cache; what grows each time is a leak.
        std::int64_t kept = growth(before);
        for (int again = 0; kept > 0 && again < 3; again++) {
            const auto now = living.load();
            check(run_with(number, on), on);
            kept = growth(now);
        }
        if (kept > 0) fail("leaked " + std::to_string(kept) + " allocations");
    }
    /// Threads may still be about to free what they had.
    static std::int64_t growth(std::int64_t before) {
        for (int i = 0; i < 20 && living.load() > before; i++) ::usleep(500);
        return living.load() - before;
    }
    Ending run_with(std::int64_t number, bool on) {
        Environment environment = environment_;
        if (on) environment.deadline = std::chrono::milliseconds(60);
        progress_.began = Clock::now().time_since_epoch().count();
        injector->count = 0;
        injector->hit = false;
        injector->fail_at = number;
        injector->fail_on = on;
        injector->on = true;
        Ending ending = run(scenario_, environment);
        injector->on = false;
        return ending;
    }
    void run_clean() {
        const Ending ending = run_with(0, false);
        if (ending.kind != Ending::Kind::succeeded) fail("without a fault: " + ending.text);
    }
    void check(const Ending& ending, bool on) {
        if (ending.kind == Ending::Kind::undocumented) fail("undocumented: " + ending.text);
        if (ending.kind == Ending::Kind::hung && !on) fail(ending.text);
    }
    [[noreturn]] void fail(const std::string& text) {
        say(progress_, text);
        ::_exit(3);
    }

    const Scenario& scenario_;
    Environment environment_;
    Progress& progress_;
};

class Proof {
  public:
    explicit Proof(Goal& goal) : goal_(goal) {
        environment_.backend = goal.backend() == "epoll" ? Backend::epoll : Backend::io_uring;
        void* memory = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        progress_ = new (memory) Progress();
        injector = &progress_->injector;
    }

    void run() {
        for (const Scenario& scenario : scenarios()) run_if_wanted(scenario);
        if (environment_.backend != Backend::io_uring) return;
        for (const Scenario& scenario : ring_scenarios()) run_if_wanted(scenario);
    }
    void tell() {
        goal_.figure(static_cast<double>(tried_),
                     {.at_least = goal_.scaled<double>({200, 2500, 10'000})},
                     std::to_string(run_scenarios_) + " scenarios with " +
                         std::to_string(allocations_) + " allocations, {} failed");
        goal_.figure(violations_, {.at_most = 0},
                     "{} crashed, hung, leaked or ended in an undocumented way");
    }

  private:
    void run_if_wanted(const Scenario& scenario) {
        if (goal_.wants(scenario.name) || goal_.wants_part_of(scenario.name)) run(scenario);
    }
    void run(const Scenario& scenario) {
        run_scenarios_++;
        in_child([&](Trial& trial) { trial.count(); }, scenario);
        if (progress_->violation[0] != '\0') miss(scenario, 0, false);
        const std::int64_t count = progress_->counted;
        allocations_ += count;
        if (goal_.wants(scenario.name)) {
            const auto most = goal_.scaled<std::int64_t>({4, 100, 1'000'000});
            try_range(scenario, {.last = count, .step = std::max<std::int64_t>(1, count / most)});
            const auto few = goal_.scaled<std::int64_t>({1, 12, 200});
            try_range(scenario,
                      {.last = count, .step = std::max<std::int64_t>(1, count / few), .on = true});
            return;
        }
        for (std::int64_t number = 1; number <= count; number++)
            for (const bool on : {false, true})
                if (goal_.wants(name_of(scenario, number, on)))
                    try_range(scenario, {.first = number, .last = number, .on = on});
    }
    void try_range(const Scenario& scenario, Range range) {
        while (range.first <= range.last) {
            in_child([&](Trial& trial) { trial.all(range); }, scenario);
            tried_ += progress_->tried;
            if (progress_->violation[0] == '\0') return;
            miss(scenario, progress_->number, range.on);
            range.first = std::max(range.first, progress_->number.load()) + range.step;
        }
    }
    template <class Work>
    void in_child(const Work& work, const Scenario& scenario) {
        directory_.empty();
        progress_->violation[0] = '\0';
        progress_->tried = progress_->number = 0;
        progress_->began = Clock::now().time_since_epoch().count();
        injector->on = false;
        std::fflush(stdout);
        const pid_t child = ::fork();
        if (child == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::setpgid(0, 0);
            if (std::getenv("PROOF_VERBOSE") == nullptr)
                if (std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(4);
            Trial trial(scenario, environment_, *progress_);
            work(trial);
            ::_exit(0);
        }
        int status = 0;
        while (::waitpid(child, &status, WNOHANG) != child) {
            const auto time = Clock::now().time_since_epoch().count() - progress_->began.load();
            if (time > most_time.count()) {
                ::kill(-child, SIGKILL);
                ::waitpid(child, &status, 0);
                injector->on = false;
                return say(*progress_, "hung");
            }
            ::usleep(500);
        }
        injector->on = false;
        ::kill(-child, SIGKILL);
        if (WIFSIGNALED(status))
            say(*progress_, "ended by signal " + std::to_string(WTERMSIG(status)));
        else if (status != 0 && progress_->violation[0] == '\0')
            say(*progress_, "ended with status " + std::to_string(WEXITSTATUS(status)));
    }
    void miss(const Scenario& scenario, std::int64_t number, bool on) {
        violations_++;
        goal_.note("--only " + name_of(scenario, number, on) + ": " + progress_->violation);
        if (std::getenv("PROOF_VERBOSE") == nullptr) return;
        char** lines = ::backtrace_symbols(injector->where, injector->depth);
        for (int i = 2; i < injector->depth; i++) goal_.note(std::string("    ") + lines[i]);
        std::free(lines);
    }

    Goal& goal_;
    Environment environment_;
    ScenarioDirectory directory_;
    Progress* progress_;
    int run_scenarios_ = 0;
    std::int64_t allocations_ = 0;
    std::int64_t tried_ = 0;
    int violations_ = 0;
};

}  // namespace
}  // namespace asyncio::proof

int main(int argc, char** argv) {
    using namespace asyncio::proof;
    Goal goal("G4 every allocation fails once", argc, argv);
    prepare_scenarios();
    Proof proof(goal);
    proof.run();
    proof.tell();
    return goal.result();
}
