// SPDX-License-Identifier: MIT
//
// What the kernel's tests share: each test runs on every variant of a kernel, with operations that
// write down what they were told, sockets, and a pump that fails instead of hanging.
//
// `chosen` is what programs get (CTest sets ASYNCIO_BACKEND); the others take features of io_uring
// away as older systems do, and are skipped where the environment chose epoll.
#pragma once

#include <asyncio/kernel/io_uring_options.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/os/socket_address.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace asyncio::kernel::testing {

using namespace std::chrono_literals;
using os::Fd;

/// Writes down its completions. When it was told that it ended, it must not be told more.
struct TestOperation : Operation {
    explicit TestOperation(Opcode code, int descriptor = -1) : Operation(code, &note) {
        fd = descriptor;
    }

    static void note(Operation& operation, const Completion& completion) {
        auto& self = static_cast<TestOperation&>(operation);
        EXPECT_EQ(self.finals, 0);
        self.results.push_back(completion.result);
        if (!completion.data.empty()) {
            EXPECT_EQ(completion.data.size(), static_cast<std::size_t>(completion.result));
            self.data.append(reinterpret_cast<const char*>(completion.data.data()),
                             completion.data.size());
        }
        EXPECT_EQ(self.idle(), !completion.more);
        if (!completion.more) self.finals++;
        if (self.then) self.then(completion);
    }

    void set_buffer(const void* memory, std::size_t size) {
        buffer = {const_cast<void*>(memory), size};
        buffers = &buffer;
        count = 1;
    }
    void set_address(const SocketAddress& where) {
        address = where.raw();
        count = where.size();
    }
    bool ended() const { return finals != 0; }
    int last() const { return results.empty() ? -1000 : results.back(); }
    void reset() {
        results.clear();
        data.clear();
        finals = 0;
    }

    std::vector<int> results;
    std::string data;
    int finals = 0;
    iovec buffer = {};
    std::function<void(const Completion&)> then;
};

struct Pair {
    Fd a;
    Fd b;
};

inline Pair unix_pair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    return {Fd(fds[0]), Fd(fds[1])};
}

inline Fd listener(SocketAddress& address, int backlog = 128) {
    Fd fd(os::stream_socket(address.family()));
    EXPECT_EQ(os::bind(fd.get(), address), 0);
    EXPECT_EQ(os::listen(fd.get(), backlog), 0);
    EXPECT_EQ(os::local_address(fd.get(), address), 0);
    return fd;
}

inline SocketAddress loopback() { return *SocketAddress::parse("127.0.0.1", 0); }

inline SocketAddress abstract(std::string_view name) {
    return SocketAddress::unix_path(std::string(1, '\0') + "asyncio-" + std::to_string(::getpid()) +
                                    "-" + std::string(name));
}

inline Pair tcp_pair() {
    SocketAddress address = loopback();
    const Fd listening = listener(address);
    Fd client(os::stream_socket(AF_INET));
    os::connect(client.get(), address);
    pollfd ready = {listening.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 10'000), 1);
    return {std::move(client), Fd(os::try_accept(listening.get()))};
}

inline bool write_all(int fd, std::string_view text) {
    return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

inline int open_descriptors() {
    int count = 0;
    DIR* directory = ::opendir("/proc/self/fd");
    while (::readdir(directory) != nullptr) count++;
    ::closedir(directory);
    return count;
}

/// Wait until `done()`; false when that takes ten seconds.
template <class Done>
bool pump(Kernel& kernel, Done&& done) {
    const TimePoint deadline = Clock::now() + 10s;
    while (!done()) {
        if (Clock::now() > deadline) return false;
        kernel.wait(100ms);
    }
    return true;
}

/// Deliver what is there now, without waiting.
inline void poll_now(Kernel& kernel, int times = 3) {
    for (int i = 0; i < times; i++) kernel.wait(Duration::zero());
}

/// The backend that was chosen, and io_uring made otherwise than usual. Runs of the tests with
/// epoll chosen leave out what is named io_uring_*.
struct Variant {
    const char* name;
    IoUringOptions options;
    bool chosen;
};

inline void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

inline bool epoll_was_chosen() {
    const char* backend = std::getenv("ASYNCIO_BACKEND");
    return backend != nullptr && std::string_view(backend) == "epoll";
}

inline std::unique_ptr<Kernel> make(const Variant& variant) {
    auto kernel = variant.chosen ? make_kernel() : make_io_uring_kernel(variant.options);
    kernel->attach_to_thread();
    return kernel;
}

class KernelFixture : public ::testing::TestWithParam<Variant> {
  protected:
    void SetUp() override {
        if (!GetParam().chosen && epoll_was_chosen()) GTEST_SKIP() << "a variant of io_uring";
        descriptors_before = open_descriptors();
        kernel = make(GetParam());
    }
    void TearDown() override {
        if (kernel == nullptr) return;
        EXPECT_EQ(kernel->in_flight(), 0u);
        kernel.reset();
        EXPECT_EQ(open_descriptors(), descriptors_before);
    }
    bool is_epoll() const { return kernel->name() == "epoll"; }

    int descriptors_before = 0;
    std::unique_ptr<Kernel> kernel;
};

inline auto variants() {
    return ::testing::Values(
        Variant{"chosen", {}, true}, Variant{"io_uring_readiness", {.multishot = false}, false},
        Variant{"io_uring_undeferred", {.deferred = false}, false},
        Variant{"io_uring_tiny",
                {.submission_entries = 2, .completion_entries = 4, .buffers = 2},
                false});
}

inline std::string name_of(const ::testing::TestParamInfo<Variant>& info) {
    return info.param.name;
}

}  // namespace asyncio::kernel::testing
