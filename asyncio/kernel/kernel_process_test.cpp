// SPDX-License-Identifier: MIT
//
// Kernels and the process around them: fork, systems that refuse io_uring, dying wrongly. What
// needs a process of its own runs in a forked child that reports by its exit status.
#include <asyncio/kernel/kernel_fixture_test.hpp>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <system_error>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace asyncio::kernel::testing {
namespace {

class KernelProcess : public KernelFixture {};
INSTANTIATE_TEST_SUITE_P(Variants, KernelProcess, variants(), name_of);

/// Never comes back into the test program, nor hangs.
template <class Body>
[[noreturn]] void run_and_exit(Body&& body) noexcept {
    ::alarm(20);
    ::_exit(body());
}

/// Run `body` in a child; its result, or -signal.
template <class Body>
int in_child(Body&& body) {
    const pid_t child = ::fork();
    if (child == 0) run_and_exit(body);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// From now on every io_uring call of this process ends with `action`.
bool deny_io_uring(std::uint32_t action) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, __NR_io_uring_setup, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, __NR_io_uring_register, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter = {static_cast<unsigned short>(std::size(program)), program};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

bool carries_bytes(asyncio::kernel::Kernel& kernel) {
    kernel.attach_to_thread();
    const Pair pair = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    const bool good = kernel.submit(receive) && write_all(pair.b.get(), "x") &&
                      pump(kernel, [&] { return receive.data == "x"; });
    kernel.reclaim(receive);
    return good;
}

TEST_P(KernelProcess, A17_the_child_is_refused_and_the_parent_unaffected) {
    const Pair pair = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    poll_now(*kernel);
    const int status = in_child([&] {
        TestOperation other(Opcode::receive, pair.b.get());
        if (kernel->submit(other) || other.inline_result != -EOWNERDEAD) return 1;
        try {
            kernel->wait(Duration::zero());
            return 2;
        } catch (const std::logic_error&) {
        }
        kernel->cancel(receive);
        kernel->reclaim(receive);
        if (!receive.idle()) return 3;
        kernel->wake();
        kernel->close(pair.a.get());
        kernel.reset();
        return 0;
    });
    EXPECT_EQ(status, 0);
    EXPECT_FALSE(receive.ended());
    const TimePoint begin = Clock::now();
    kernel->wait(5ms);  // the child's wake did not come here
    EXPECT_GE(Clock::now() - begin, 5ms);
    ASSERT_TRUE(write_all(pair.b.get(), "still here"));
    ASSERT_TRUE(pump(*kernel, [&] { return receive.data == "still here"; }));
    kernel->reclaim(receive);
}

TEST_P(KernelProcess, A17_a_child_may_make_its_own) {
    EXPECT_EQ(in_child([&] { return carries_bytes(*make(GetParam())) ? 0 : 1; }), 0);
}

TEST(KernelDenied, A16_refused_io_uring_falls_back_to_epoll) {
    for (const int error : {EPERM, ENOSYS, ENOMEM, EMFILE}) {
        const int status = in_child([&] {
            ::unsetenv("ASYNCIO_BACKEND");
            if (!deny_io_uring(SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error))) return 1;
            const auto kernel = make_kernel();
            return kernel->name() == "epoll" && carries_bytes(*kernel) ? 0 : 2;
        });
        EXPECT_EQ(status, 0) << error;
    }
}

TEST(KernelDenied, A16_an_explicit_wish_that_cannot_be_had_throws) {
    const int status = in_child([] {
        if (!deny_io_uring(SECCOMP_RET_ERRNO | EPERM)) return 1;
        try {
            make_kernel(Backend::io_uring);
            return 2;
        } catch (const std::system_error& error) {
            return error.code() == std::errc::operation_not_permitted ? 0 : 3;
        }
    });
    EXPECT_EQ(status, 0);
}

TEST(KernelDenied, A16_with_epoll_chosen_no_io_uring_call_is_made) {
    const int status = in_child([] {
        ::setenv("ASYNCIO_BACKEND", "epoll", 1);
        if (!deny_io_uring(SECCOMP_RET_KILL_PROCESS)) return 1;
        return carries_bytes(*make_kernel()) ? 0 : 2;
    });
    EXPECT_EQ(status, 0);
}

TEST(KernelDenied, A16_without_locked_memory_a_kernel_is_still_made) {
    const int status = in_child([] {
        ::unsetenv("ASYNCIO_BACKEND");
        const rlimit none = {0, 0};
        if (::setrlimit(RLIMIT_MEMLOCK, &none) != 0) return 1;
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 2;
        return carries_bytes(*make_kernel()) ? 0 : 3;
    });
    EXPECT_EQ(status, 0);
}

TEST(KernelDenied, no_descriptor_left_is_a_clean_error) {
    const int status = in_child([] {
        const rlimit none = {0, 0};
        if (::setrlimit(RLIMIT_NOFILE, &none) != 0) return 1;
        try {
            make_kernel();
            return 2;
        } catch (const std::system_error& error) {
            return error.code() == std::errc::too_many_files_open ? 0 : 3;
        }
    });
    EXPECT_EQ(status, 0);
}

TEST(KernelDenied, an_unknown_backend_is_named) {
    const int status = in_child([] {
        ::setenv("ASYNCIO_BACKEND", "kqueue", 1);
        try {
            make_kernel();
            return 1;
        } catch (const std::invalid_argument& error) {
            return std::string_view(error.what()).find("kqueue") != std::string_view::npos ? 0 : 2;
        }
    });
    EXPECT_EQ(status, 0);
}

TEST(OperationDeathTest, A4_dying_in_flight_is_fatal) {
    ::testing::FLAGS_gtest_death_test_style = "fast";
    EXPECT_DEATH(
        {
            const auto kernel = make_kernel();
            const Pair pair = unix_pair();
            auto receive = std::make_unique<TestOperation>(Opcode::receive, pair.a.get());
            if (!kernel->submit(*receive)) ::_exit(0);
            receive.reset();
        },
        "destroyed in flight");
}

#if defined(__SANITIZE_ADDRESS__)
#define ASYNCIO_TEST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASYNCIO_TEST_ASAN 1
#endif
#endif

TEST(OperationDeathTest, A4_memory_freed_in_flight_is_found_at_completion) {
#ifndef ASYNCIO_TEST_ASAN
    GTEST_SKIP() << "needs AddressSanitizer";
#else
    EXPECT_DEATH(
        {
            const auto kernel = make_kernel();
            const Pair pair = unix_pair();
            const std::string filler(1 << 20, 'f');
            while (::send(pair.a.get(), filler.data(), filler.size(), 0) > 0) {
            }
            char* memory = new char[10];
            TestOperation send(Opcode::send, pair.a.get());
            send.set_buffer(memory, 10);
            if (!kernel->submit(send)) ::_exit(0);
            delete[] memory;
            kernel->cancel(send);
            pump(*kernel, [&] { return send.ended(); });
        },
        "died before its completion");
#endif
}

}  // namespace
}  // namespace asyncio::kernel::testing
