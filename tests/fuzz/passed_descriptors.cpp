// SPDX-License-Identifier: MIT
//
// What comes with a message of a unix socket: each descriptor is found once, and is the caller's
// or closed, once. Control data of any bytes, then as the system writes it (cut off, several
// headers, others between them), with numbers that stand for descriptors; and real ones through a
// real socket, which may have too few numbers free for them.
//
// covers: os/passed_descriptors.hpp os/passed_descriptors.cpp
#include <asyncio/os/fd.hpp>
#include <asyncio/os/passed_descriptors.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/os/unix_socket.hpp>

#include <cstring>
#include <memory>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.hpp"
#include "stand_in_system.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;

constexpr int kProcess = 4;         // SCM_PIDFD
constexpr int kPassProcess = 76;    // SO_PASSPIDFD
constexpr size_t kMostPassed = 12;  // of one message; more do nothing else

/// In memory of exactly its size.
class Exactly {
  public:
    explicit Exactly(std::string_view text)
        : size_(text.size()), memory_(new std::byte[text.size()]) {
        std::memcpy(memory_.get(), text.data(), text.size());
    }
    operator std::span<const std::byte>() const { return {memory_.get(), size_}; }

  private:
    size_t size_;
    std::unique_ptr<std::byte[]> memory_;
};

void any_bytes(Input& input) {
    const std::string_view text = input.rest();
    const Exactly control(text);
    size_t found = 0;
    for (os::PassedDescriptors passed(control); passed.next(); ++found) {
        const int number = passed.number();
        const std::string_view bytes(reinterpret_cast<const char*>(&number), sizeof number);
        FUZZ_CHECK(text.find(bytes) != text.npos);
    }
    FUZZ_CHECK(found * sizeof(int) + (found > 0 ? sizeof(cmsghdr) : 0) <= text.size());
}

/// Who closes the stand-ins.
class Numbers final : public StandInSystem {
  public:
    int make() {
        held_.push_back(1);
        return os::kFirstSimulated + static_cast<int>(held_.size()) - 1;
    }
    void close(int fd) noexcept override {
        const auto index = static_cast<size_t>(fd - os::kFirstSimulated);
        FUZZ_CHECK(index < held_.size() && held_[index] == 1);
        held_[index] = 0;
    }
    bool all_closed() const { return std::find(held_.begin(), held_.end(), 1) == held_.end(); }

  private:
    std::vector<char> held_;
};

/// Control data as the system writes it, and what is in it.
struct Written {
    std::string bytes;
    std::vector<int> sent;

    void add(Input& input, Numbers& numbers) {
        const size_t kind = input.below(4);
        const size_t count = kind == 1 ? 1 : input.below(kMostPassed);
        std::string data;
        for (size_t i = 0; i < count; ++i) {
            const int number = kind < 2 ? numbers.make() : -7;  // no descriptor of anybody's
            data.append(reinterpret_cast<const char*>(&number), sizeof number);
            if (kind == 0) sent.push_back(number);
        }
        cmsghdr header = {};
        header.cmsg_len = CMSG_LEN(data.size());
        header.cmsg_level = kind == 3 ? IPPROTO_IP : SOL_SOCKET;
        header.cmsg_type = kind == 1 ? kProcess : kind == 2 ? SCM_CREDENTIALS : SCM_RIGHTS;
        bytes.append(reinterpret_cast<const char*>(&header), sizeof header).append(data);
        // The last header of cut data is not filled up.
        if (input.chance()) bytes.resize(CMSG_ALIGN(bytes.size()));
    }
};

void as_written(Input& input) {
    Numbers numbers;
    StandInSystem::Turn turn(numbers);
    Written written;
    for (size_t headers = input.below(6); headers > 0; --headers) {
        written.bytes.resize(CMSG_ALIGN(written.bytes.size()));
        written.add(input, numbers);
    }
    std::vector<int> into(input.below(2 * kMostPassed), -1);
    const os::TakenDescriptors taken = os::take_descriptors(Exactly(written.bytes), into);
    FUZZ_CHECK(taken.count == std::min(into.size(), written.sent.size()));
    FUZZ_CHECK(taken.dropped == (taken.count < written.sent.size()));
    for (size_t i = 0; i < taken.count; ++i) {
        FUZZ_CHECK(into[i] == written.sent[i]);
        numbers.close(into[i]);
    }
    for (size_t i = taken.count; i < into.size(); ++i) FUZZ_CHECK(into[i] == -1);
    FUZZ_CHECK(numbers.all_closed());
}

int free_number() {
    const os::Fd lowest(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
    FUZZ_CHECK(lowest);
    return lowest.get();
}

/// Which of the numbers that a message may take are open.
std::vector<bool> open_numbers(int from) {
    std::vector<bool> open(static_cast<size_t>(from) + 2 * kMostPassed);
    for (size_t i = 0; i < open.size(); ++i) open[i] = ::fcntl(static_cast<int>(i), F_GETFD) >= 0;
    return open;
}

/// Not more than some descriptors can be opened as long as it lives.
class FewDescriptors {
  public:
    explicit FewDescriptors(int most) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit few = {static_cast<rlim_t>(most), before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &few);
    }
    FewDescriptors(const FewDescriptors&) = delete;
    FewDescriptors& operator=(const FewDescriptors&) = delete;
    ~FewDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    rlimit before_ = {};
};

void receive_one(Input& input, int socket, size_t sent) {
    const int free_before = free_number();
    const std::vector<bool> open_before = open_numbers(free_before);
    const bool few_are_free = input.chance();
    const size_t allowed = few_are_free ? input.below(kMostPassed) : 1000;
    std::byte data[4];
    std::vector<int> into(input.below(kMostPassed), -1);
    os::Received received;
    {
        const FewDescriptors few(free_before + static_cast<int>(allowed));
        received = os::try_receive_descriptors(socket, data, into);
    }
    FUZZ_CHECK(received.bytes == 1);
    FUZZ_CHECK(received.descriptors <= std::min({sent, allowed, into.size()}));
    // Without a limit it is the room that decides; with one also who else has numbers above it.
    if (!few_are_free) FUZZ_CHECK(received.descriptors == std::min(sent, into.size()));
    FUZZ_CHECK(received.truncated || received.descriptors == sent);
    FUZZ_CHECK(few_are_free || received.truncated == (received.descriptors < sent));
    for (size_t i = 0; i < received.descriptors; ++i) {
        FUZZ_CHECK(::fcntl(into[i], F_GETFD) == FD_CLOEXEC);
        FUZZ_CHECK(::close(into[i]) == 0);
    }
    FUZZ_CHECK(open_numbers(free_before) == open_before);
}

void through_a_socket(Input& input) {
    int pair[2];
    const int type = input.chance() ? SOCK_STREAM : SOCK_SEQPACKET;
    FUZZ_CHECK(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == 0);
    const os::Fd left(pair[0]);
    const os::Fd right(pair[1]);
    const size_t options = input.below(4);
    const int on = 1;
    if ((options & 1) != 0) ::setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    if ((options & 2) != 0) ::setsockopt(pair[1], SOL_SOCKET, kPassProcess, &on, sizeof on);
    for (size_t messages = 1 + input.below(3); messages > 0; --messages) {
        const std::vector<int> passed(input.below(kMostPassed), pair[0]);
        const auto bytes = std::as_bytes(std::span("x", 1));
        FUZZ_CHECK(os::try_send_descriptors(pair[0], bytes, passed) == 1);
        receive_one(input, pair[1], passed.size());
    }
    std::byte data[1];
    FUZZ_CHECK(os::try_receive_descriptors(pair[1], data, {}).bytes == -EAGAIN);
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(passed_descriptors) {
    using namespace asyncio::fuzz;
    one_of(input, &any_bytes, &as_written, &through_a_socket);
}
