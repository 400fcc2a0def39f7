// SPDX-License-Identifier: MIT
#include <asyncio/os/spawn.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::os {
namespace {

/// Runs `script` in a shell; its standard output and status.
class Shell {
  public:
    explicit Shell(std::string script) : script_(std::move(script)) {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        out_ = Fd(ends[0]);
        in_ = Fd(ends[1]);
        mappings_ = {{0, null_.get()}, {1, in_.get()}, {2, 2}};
        request.candidates = candidates_;
        request.environment = environment_;
    }

    ExitStatus run() {
        const char* arguments[] = {"sh", "-c", script_.c_str(), nullptr};
        if (request.arguments == nullptr) request.arguments = arguments;
        request.descriptors = mappings_;
        spawned = spawn(request);
        in_.reset();
        char chunk[4096];
        for (ssize_t got; (got = ::read(out_.get(), chunk, sizeof chunk)) > 0;)
            output.append(chunk, static_cast<std::size_t>(got));
        if (spawned.error != 0) return {};
        pollfd ended = {spawned.pidfd.get(), POLLIN, 0};
        EXPECT_EQ(::poll(&ended, 1, 20'000), 1);
        return reap(spawned.pidfd.get());
    }
    void map(int child, int parent) { mappings_.push_back({child, parent}); }

    SpawnRequest request;
    Spawned spawned;
    std::string output;

  private:
    std::string script_;
    const char* candidates_[2] = {"/bin/sh", nullptr};
    const char* environment_[2] = {"PATH=/usr/bin:/bin", nullptr};
    Fd null_{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    Fd out_;
    Fd in_;
    std::vector<DescriptorMapping> mappings_;
};

TEST(Spawn, runs_a_program_and_tells_its_status) {
    Shell shell("echo hello; exit 7");
    EXPECT_EQ(shell.run().returncode, 7);
    EXPECT_EQ(shell.output, "hello\n");
}

TEST(Spawn, tells_the_signal_that_ended_it) {
    Shell shell("kill -9 $$");
    EXPECT_EQ(shell.run().returncode, -SIGKILL);
}

TEST(Spawn, P6_a_program_that_cannot_run_is_an_error_and_leaves_no_zombie) {
    for (const auto& [path, error] :
         {std::pair{"/no/such/program", ENOENT}, {"/etc/passwd", EACCES}, {"/tmp", EACCES}}) {
        const char* candidates[] = {path, nullptr};
        const char* arguments[] = {"x", nullptr};
        SpawnRequest request;
        request.candidates = candidates;
        request.arguments = arguments;
        request.environment = arguments + 1;
        const Spawned spawned = spawn(request);
        EXPECT_EQ(spawned.error, error) << path;
        EXPECT_EQ(spawned.failed, SpawnStep::program);
    }
    siginfo_t none = {};
    EXPECT_EQ(::waitid(P_ALL, 0, &none, WEXITED | WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
}

TEST(Spawn, a_denied_candidate_counts_only_when_nothing_runs) {
    Shell shell("echo ran");
    const char* candidates[] = {"/etc/passwd", "/none", "/bin/sh", nullptr};
    shell.request.candidates = candidates;
    EXPECT_EQ(shell.run().returncode, 0);
    EXPECT_EQ(shell.output, "ran\n");
    const char* none[] = {"/etc/passwd", "/none", nullptr};
    Shell denied("");
    denied.request.candidates = none;
    denied.run();
    EXPECT_EQ(denied.spawned.error, EACCES);
}

TEST(Spawn, P7_nothing_of_ours_leaks_into_the_child) {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction before = {};
    ::sigaction(SIGPIPE, &ignore, &before);
    sigset_t mask;
    sigset_t mask_before;
    ::sigemptyset(&mask);
    ::sigaddset(&mask, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &mask, &mask_before);
    const Fd ours(::open("/dev/null", O_RDONLY));  // inheritable
    Shell shell("grep -E '^Sig(Blk|Ign)' /proc/self/status; exec ls /proc/self/fd");
    EXPECT_EQ(shell.run().returncode, 0);
    ::pthread_sigmask(SIG_SETMASK, &mask_before, nullptr);
    ::sigaction(SIGPIPE, &before, nullptr);
    EXPECT_EQ(shell.output,
              "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n1\n2\n3\n");  // 3: ls looks
}

TEST(Spawn, P7_a_program_begins_with_no_signal_blocked) {
    // Without a shell, which would unblock them itself; spawn() blocks all of them for a moment.
    Shell direct("");
    const char* candidates[] = {"/bin/grep", "/usr/bin/grep", nullptr};
    const char* arguments[] = {"grep", "SigBlk", "/proc/self/status", nullptr};
    direct.request.candidates = candidates;
    direct.request.arguments = arguments;
    EXPECT_EQ(direct.run().returncode, 0);
    EXPECT_EQ(direct.output, "SigBlk:\t0000000000000000\n");
}

TEST(Spawn, descriptors_may_change_places) {
    int a[2];
    ASSERT_EQ(::pipe2(a, O_CLOEXEC), 0);
    const Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    ASSERT_TRUE(file);
    // Each target is the other's source.
    Shell shell("echo to-a >&" + std::to_string(file.get()) + "; echo to-file >&" +
                std::to_string(a[1]));
    shell.map(file.get(), a[1]);
    shell.map(a[1], file.get());
    EXPECT_EQ(shell.run().returncode, 0);
    char text[16] = {};
    EXPECT_EQ(::read(a[0], text, sizeof text), 5);
    EXPECT_STREQ(text, "to-a\n");
    char other[16] = {};
    EXPECT_EQ(::pread(file.get(), other, sizeof other, 0), 8);
    EXPECT_STREQ(other, "to-file\n");
    ::close(a[0]);
    ::close(a[1]);
}

TEST(Spawn, session_group_umask_limits_and_directory) {
    Shell shell("umask; pwd; ulimit -n; test $(ps -o sid= $$) = $$ && echo leader");
    const ResourceLimit limit{RLIMIT_NOFILE, 77, 99};
    shell.request.directory = "/usr";
    shell.request.umask = 027;
    shell.request.new_session = true;
    shell.request.limits = std::span(&limit, 1);
    EXPECT_EQ(shell.run().returncode, 0);
    EXPECT_EQ(shell.output, "0027\n/usr\n77\nleader\n");
}

TEST(Spawn, says_which_step_failed) {
    Shell nowhere("");
    nowhere.request.directory = "/no/such/directory";
    nowhere.run();
    EXPECT_EQ(nowhere.spawned.error, ENOENT);
    EXPECT_EQ(nowhere.spawned.failed, SpawnStep::directory);
    Shell closed("");
    closed.map(5, 987654);
    closed.run();
    EXPECT_EQ(closed.spawned.error, EBADF);
    EXPECT_EQ(closed.spawned.failed, SpawnStep::descriptors);
}

TEST(Spawn, P1_a_signal_reaches_nobody_after_the_end) {
    Shell shell("exit 0");
    shell.run();
    EXPECT_EQ(send_signal(shell.spawned.pidfd.get(), SIGKILL), -ESRCH);
    EXPECT_TRUE(reap(shell.spawned.pidfd.get()).lost);
}

TEST(Spawn, P3_a_status_somebody_else_took_is_lost) {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction before = {};
    ::sigaction(SIGCHLD, &ignore, &before);
    Shell shell("exit 3");
    const ExitStatus status = shell.run();
    ::sigaction(SIGCHLD, &before, nullptr);
    EXPECT_TRUE(status.ended);
    EXPECT_TRUE(status.lost);
    EXPECT_EQ(status.returncode, 255);
}

}  // namespace
}  // namespace asyncio::os
