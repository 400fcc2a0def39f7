// SPDX-License-Identifier: MIT
#include <asyncio/base/log_parts.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/subprocess/child.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <vector>

#include <poll.h>

namespace asyncio::subprocess {

namespace {

/// How long a closing loop waits for a killed program to be gone, at most.
constexpr int kPatienceMilliseconds = 1000;
constexpr int kTries = 100;

/// Killed programs that did not go in time (stuck in the system); tried again with each new one.
class Orphans {
  public:
    static Orphans& instance() {
        static auto* const orphans = new Orphans;
        return *orphans;
    }
    void add(os::Fd pidfd) noexcept {
        const std::lock_guard lock(mutex_);
        try {
            pidfds_.push_back(std::move(pidfd));
        } catch (const std::bad_alloc&) {
            log(LogLevel::error, "a killed program could not be remembered; it stays a zombie");
        }
    }
    void reap() noexcept {
        const std::lock_guard lock(mutex_);
        std::erase_if(pidfds_, [](const os::Fd& pidfd) { return os::reap(pidfd.get()).ended; });
    }

  private:
    std::mutex mutex_;
    std::vector<os::Fd> pidfds_;
};

void report_lost_status(int pid) noexcept {
    const std::string number = std::to_string(pid);  // short enough to need no memory
    log_parts(LogLevel::warning, {"child process pid ", number,
                                  " exit status already read: will report returncode 255"});
}

}  // namespace

Ref<Child> Child::make(EventLoop& loop, std::string program) {
    Orphans::instance().reap();
    return Ref<Child>(new Child(loop, std::move(program)));
}

Child::Child(EventLoop& loop, std::string program) : loop_(loop), program_(std::move(program)) {
    poll_.owner = this;
    poll_.events = POLLIN;
}

void Child::watch(os::Spawned spawned) {
    pid_ = spawned.pid;
    poll_.fd = pidfd_ = spawned.pidfd.release();
    if (!loop_.kernel().submit(poll_)) {
        kill_and_reap();
        os::throw_system_error(-poll_.inline_result, "watch " + program_);
    }
    add_ref();  // the loop's, until it has ended
    loop_.members().push_back(*this);
}

Child::~Child() { assert(pidfd_ < 0 && poll_.idle()); }

void Child::wait_for_exit() noexcept {
    if (!loop_.kernel().submit(poll_)) on_completion(poll_, {.result = poll_.inline_result});
}

void Child::on_completion(kernel::Operation& operation, const kernel::Completion& completion) {
    auto& self = *static_cast<Child*>(operation.owner);
    const os::ExitStatus status = os::reap(self.pidfd_);
    if (!status.ended) {
        if (completion.result >= 0) return self.wait_for_exit();
        self.kill_and_reap();
        log_parts(LogLevel::error, {"cannot watch ", self.program_, ": it is killed"});
        return self.ended(*self.returncode_);
    }
    if (status.lost) report_lost_status(self.pid_);
    self.ended(status.returncode);
}

void Child::ended(int returncode) noexcept {
    returncode_ = returncode;
    loop::Member::unlink();
    if (pidfd_ >= 0) loop_.kernel().close(std::exchange(pidfd_, -1));
    exited_.wake_all();
    if (on_exit_ != nullptr) loop_.core().ready.push(*std::exchange(on_exit_, nullptr));
    if (drop_ref()) destroy();
}

void Child::send_signal(int signal) {
    if (returncode_) os::throw_system_error(ESRCH, "send a signal to " + program_);
    const int result = os::send_signal(pidfd_, signal);
    if (result != 0 && result != -ESRCH)  // ESRCH: it ended just now
        os::throw_system_error(-result, "send a signal to " + program_);
}

void Child::kill() noexcept {
    if (!returncode_) os::send_signal(pidfd_, SIGKILL);
}

/// Sets returncode_: what it ended with if it had ended already.
void Child::kill_and_reap() noexcept {
    os::Fd pidfd(std::exchange(pidfd_, -1));
    os::send_signal(pidfd.get(), SIGKILL);
    pollfd gone = {pidfd.get(), POLLIN, 0};
    for (int tries = 0; tries < kTries && ::poll(&gone, 1, kPatienceMilliseconds) < 0; tries++) {
    }  // interrupted, or the system is short of memory
    const os::ExitStatus status = os::reap(pidfd.get());
    returncode_ = status.ended ? status.returncode : -SIGKILL;
    if (status.ended) return loop_.kernel().close(pidfd.release());
    Orphans::instance().add(std::move(pidfd));
    log_parts(LogLevel::warning, {program_, " was killed and does not go away"});
}

void Child::loop_closed() noexcept {
    loop_.kernel().reclaim(poll_);
    kill_and_reap();
    on_exit_ = nullptr;
    if (drop_ref()) destroy();
}

}  // namespace asyncio::subprocess
