// SPDX-License-Identifier: MIT
//
// What G7's operations of the rooms stream and net are done to: raw sockets, a listener, a file.
#pragma once

#include <asyncio/net/net_fixture_test.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <tests/proof/cancel/operation.hpp>
#include <utility>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace asyncio::proof {

using net_tests::Fd;
using net_tests::RawListener;

/// When a peer does what it does.
inline constexpr Duration kSoon = 300us;

/// Bytes that tell where they belong.
inline std::string numbered(std::size_t size) {
    std::string text;
    for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + (i % 10 == 9 ? "\n" : " ");
    text.resize(size - 1);
    return text + "\n";
}

inline std::pair<Fd, Fd> unix_pair(int type) {
    int fds[2] = {-1, -1};
    require(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0, "socketpair");
    return {Fd(fds[0]), Fd(fds[1])};
}

inline std::shared_ptr<RawListener> listener() { return std::make_shared<RawListener>(64); }

inline Fd file_of(std::string_view text) {
    std::string path = "/tmp/asyncio-proof-XXXXXX";
    Fd fd(::mkostemp(path.data(), O_CLOEXEC));
    ::unlink(path.c_str());
    require(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()),
            "write");
    ::lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

}  // namespace asyncio::proof
