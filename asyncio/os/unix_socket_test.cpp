// SPDX-License-Identifier: MIT
//
// Descriptors that travel, files that are removed or not, who the peer is.
#include <asyncio/os/fd.hpp>
#include <asyncio/os/unix_socket.hpp>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace asyncio::os {
namespace {

TEST(UnixSocket, descriptors_travel_close_on_exec_and_too_many_are_closed) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const Fd left(pair[0]);
    const Fd right(pair[1]);
    const int next = ::dup(left.get());
    ::close(next);
    const int passed[] = {left.get(), right.get(), left.get()};
    EXPECT_EQ(os::try_send_descriptors(left.get(), std::as_bytes(std::span("x", 1)), passed), 1);
    std::byte data[8];
    int received[2] = {-1, -1};
    const os::Received got = os::try_receive_descriptors(right.get(), data, received);
    EXPECT_EQ(got.bytes, 1);
    EXPECT_EQ(got.descriptors, 2u);
    EXPECT_TRUE(got.truncated);
    const Fd one(received[0]);
    const Fd two(received[1]);
    EXPECT_LT(::fcntl(std::max(one.get(), two.get()) + 1, F_GETFD), 0);  // the third is closed
    EXPECT_GE(one.get(), next);
    EXPECT_EQ(::fcntl(one.get(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(os::try_send_descriptors(left.get(), {}, passed), -EINVAL);
    EXPECT_EQ(os::try_receive_descriptors(right.get(), data, received).bytes, -EAGAIN);
}

TEST(UnixSocket, who_receives_credentials_too_gets_all_descriptors) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const Fd left(pair[0]);
    const Fd right(pair[1]);
    const int on = 1;
    ASSERT_EQ(::setsockopt(right.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on), 0);
    const std::vector<int> passed(most_passed_descriptors, left.get());
    ASSERT_EQ(os::try_send_descriptors(left.get(), std::as_bytes(std::span("x", 1)), passed), 1);
    std::byte data[8];
    int received[most_passed_descriptors];
    const os::Received got = os::try_receive_descriptors(right.get(), data, received);
    EXPECT_EQ(got.descriptors, most_passed_descriptors);
    EXPECT_FALSE(got.truncated);
    for (std::size_t i = 0; i < got.descriptors; ++i) ::close(received[i]);
}

TEST(UnixSocket, the_process_descriptor_of_a_sender_is_not_left_open) {
    constexpr int kPassPidfd = 76;  // SO_PASSPIDFD
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const Fd left(pair[0]);
    const Fd right(pair[1]);
    const int on = 1;
    if (::setsockopt(right.get(), SOL_SOCKET, kPassPidfd, &on, sizeof on) != 0)
        GTEST_SKIP() << "SO_PASSPIDFD came with Linux 6.5";
    // Afterwards only one of the two lowest numbers that are free now is taken.
    Fd first(::dup(left.get()));
    Fd second(::dup(left.get()));
    const int numbers[] = {first.get(), second.get()};
    first.reset();
    second.reset();
    const int passed[] = {left.get()};
    ASSERT_EQ(os::try_send_descriptors(left.get(), std::as_bytes(std::span("x", 1)), passed), 1);
    std::byte data[8];
    int received[2];
    const os::Received got = os::try_receive_descriptors(right.get(), data, received);
    EXPECT_EQ(got.descriptors, 1u);
    EXPECT_FALSE(got.truncated);
    const Fd one(received[0]);
    const int open = static_cast<int>(::fcntl(numbers[0], F_GETFD) >= 0) +
                     static_cast<int>(::fcntl(numbers[1], F_GETFD) >= 0);
    EXPECT_EQ(open, 1);
}

TEST(UnixSocket, the_peer_of_a_pair_is_this_process) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const Fd left(pair[0]);
    const Fd right(pair[1]);
    PeerCredentials credentials;
    EXPECT_EQ(peer_credentials(left.get(), credentials), 0);
    EXPECT_EQ(credentials, (PeerCredentials{::getpid(), ::getuid(), ::getgid()}));
    EXPECT_EQ(peer_credentials(-1, credentials), -EBADF);
}

TEST(UnixSocket, only_sockets_are_stale_and_only_the_same_file_is_removed) {
    std::string path = "/tmp/asyncio-stale-XXXXXX";
    const Fd file(::mkstemp(path.data()));
    EXPECT_EQ(remove_stale_socket(path), 0);
    EXPECT_EQ(remove_stale_socket(path + "-none"), 0);
    EXPECT_LT(remove_stale_socket(path + "/below-a-file"), 0);
    const FileIdentity identity = identity_of(path);
    EXPECT_NE(identity, FileIdentity());
    remove_if_still(path, {identity.device, identity.inode + 1});
    EXPECT_EQ(identity_of(path), identity);
    remove_if_still(path, identity);
    EXPECT_EQ(identity_of(path), FileIdentity());
    remove_if_still(path, FileIdentity());
}

}  // namespace
}  // namespace asyncio::os
