// SPDX-License-Identifier: MIT
//
// Programs started where there is no memory for one thing of all that it takes: also when the
// program runs already and one of its pipes cannot be opened.
#include <asyncio/base/scarce_memory_fixture_test.hpp>
#include <asyncio/subprocess/process.hpp>
#include <asyncio/subprocess/subprocess_fixture_test.hpp>
#include <asyncio/subprocess/subprocess_transport.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>

#include <cerrno>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace subprocess_tests;
using memory_tests::before_failure;
using memory_tests::left_before_failure;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int kMostAllocations = 1000;  // of one start; it takes some tens

/// Bounded: what was killed has 20 s to be gone, and its pipes to be closed.
Coro<> until_nothing_is_left(int descriptors) {
    const TimePoint deadline = get_running_loop().time() + 20s;
    while ((!no_children() || open_descriptors() != descriptors) &&
           get_running_loop().time() < deadline)
        co_await sleep(1ms);  // deadline: a killed program ends in its own time
    EXPECT_TRUE(no_children());
    EXPECT_EQ(open_descriptors(), descriptors);
}

/// Of one protocol: what it was told.
class Told : public SubprocessProtocol {
  public:
    explicit Told(std::vector<std::string>& events) : events_(events) {}
    void connection_made(SubprocessTransport&) override { events_.push_back("made"); }
    void pipe_connection_lost(int, std::exception_ptr) override { events_.push_back("pipe"); }
    void process_exited() override { events_.push_back("exited"); }
    void connection_lost(std::exception_ptr) override { events_.push_back("lost"); }

  private:
    std::vector<std::string>& events_;
};

using SubprocessMemory = memory_tests::ScarceMemory;

/// A program whose own child holds its standard input: that goes only when our end is closed, even
/// though the program itself is killed. Both run when something fails.
class Holder {
  public:
    Holder() {
        EXPECT_EQ(::pipe2(said_, O_CLOEXEC), 0);
        said_by_it = said_[0];
        before_failure = &wait_until_it_runs;
        command_ = "exec 3<&0; cat <&3 & echo >&" + std::to_string(said_[1]) + "; wait";
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    ~Holder() {
        before_failure = [] {};
        ::close(said_[0]);
        ::close(said_[1]);
    }

    const std::string& command() const { return command_; }
    SubprocessOptions options() const {
        SubprocessOptions options{.stdin_ = PIPE, .stdout_ = PIPE, .stderr_ = PIPE};
        options.pass_fds = std::span(&said_[1], 1);
        return options;
    }

  private:
    static void wait_until_it_runs() {
        pollfd line = {said_by_it, POLLIN, 0};
        if (!no_children()) ::poll(&line, 1, 20'000);  // deadline: a shell has to start
    }

    static inline int said_by_it = -1;
    int said_[2] = {-1, -1};
    std::string command_;
};

/// What ran already says so; before that there is nothing to tell but the lack itself.
void expect_lack_of_memory(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::system_error& e) {
        EXPECT_EQ(e.code().value(), ENOMEM);
        EXPECT_THAT(e.what(),
                    AnyOf(HasSubstr("watch /bin/sh"), HasSubstr("open the pipes of /bin/sh")));
    } catch (const std::bad_alloc&) {
    }
}

/// False: nothing failed.
Coro<bool> start_with_a_protocol(int succeeding) {
    const Holder holder;
    const int descriptors = open_descriptors();
    std::vector<std::string> events;
    events.reserve(16);
    const auto make = [&] {
        auto protocol = std::make_unique<Told>(events);
        left_before_failure = succeeding;
        return protocol;
    };
    auto opened = co_await as_outcome(
        get_running_loop().subprocess_shell(make, holder.options(), holder.command()));
    const bool failed = std::exchange(left_before_failure, -1) < 0;
    EXPECT_TRUE(failed || opened) << succeeding;
    if (opened) {
        opened->first->close();
        co_await until_nothing_is_left(descriptors);
        EXPECT_EQ(events.front(), "made");
        EXPECT_EQ(events.back(), "lost");
    } else {
        expect_lack_of_memory(opened.error());
        co_await until_nothing_is_left(descriptors);
        EXPECT_EQ(events, std::vector<std::string>()) << succeeding;
    }
    co_return failed;
}

TEST_F(SubprocessMemory, SUB_28_a_protocol_whose_pipes_cannot_be_opened_is_told_nothing) {
    asyncio::run([]() -> Coro<> {
        int count = 0;
        while (co_await start_with_a_protocol(count)) {
            EXPECT_LT(++count, kMostAllocations);
            if (count >= kMostAllocations || HasFailure()) break;
        }
        RecordProperty("figure", std::to_string(count) + " allocations failed, one at a time");
        EXPECT_GT(count, 3);
    });
}

Coro<bool> start_with_streams(int succeeding) {
    const Holder holder;
    const int descriptors = open_descriptors();
    const auto start = [&]() -> Coro<Process> {
        left_before_failure = succeeding;
        co_return co_await create_subprocess_shell(holder.options(), holder.command());
    };
    auto process = co_await as_outcome(start());
    const bool failed = std::exchange(left_before_failure, -1) < 0;
    EXPECT_TRUE(failed || process) << succeeding;
    if (process) {
        const Process running = std::move(*process);
        running.kill();
        co_await running.wait();
    } else {
        expect_lack_of_memory(process.error());
    }
    co_await until_nothing_is_left(descriptors);
    co_return failed;
}

TEST_F(SubprocessMemory, SUB_28_streams_that_cannot_be_opened_leave_nothing) {
    asyncio::run([]() -> Coro<> {
        int count = 0;
        while (co_await start_with_streams(count)) {
            EXPECT_LT(++count, kMostAllocations);
            if (count >= kMostAllocations || HasFailure()) break;
        }
        EXPECT_GT(count, 3);
    });
}

}  // namespace
}  // namespace asyncio
