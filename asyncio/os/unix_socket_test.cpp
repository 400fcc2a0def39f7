// SPDX-License-Identifier: MIT
//
// Descriptors that travel, files that are removed or not, who the peer is.
#include <asyncio/os/fd.hpp>
#include <asyncio/os/unix_socket.hpp>

#include <algorithm>
#include <cerrno>
#include <string>

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
