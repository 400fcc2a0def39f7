// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/loop/watchers.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace std::chrono_literals;

using Log = std::vector<std::string>;

class WatchersTest : public ::testing::Test {
  protected:
    WatchersTest() {
        int ends[2] = {};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        here = os::Fd(ends[0]);
        there = os::Fd(ends[1]);
    }
    ~WatchersTest() override { loop.close(); }
    void iterate() {
        loop.stop();
        loop.run_forever();
    }
    void send() const { EXPECT_EQ(::send(there.get(), "x", 1, 0), 1); }
    void receive() const {
        char byte = 0;
        EXPECT_EQ(::recv(here.get(), &byte, 1, 0), 1);
    }
    auto note(std::string word) {
        return [this, word] { log.push_back(word); };
    }

    std::unique_ptr<EventLoop> owned = testing::make_virtual_loop();
    EventLoop& loop = *owned;
    testing::ErrorLog errors{loop};
    os::Fd here;
    os::Fd there;
    Log log;
};

TEST_F(WatchersTest, FD_01_a_reader_is_called_as_long_as_there_is_something_to_read) {
    int calls = 0;
    loop.add_reader(here.get(), [&] {
        if (++calls == 4) receive();  // level-triggered: until the byte is gone
    });
    iterate();
    EXPECT_EQ(calls, 0);
    send();
    loop.call_later(1s, [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_EQ(calls, 4);
}

TEST_F(WatchersTest, FD_01_a_writer_is_called_while_there_is_room) {
    int calls = 0;
    loop.add_writer(here.get(), [&] {
        if (++calls == 3) loop.stop();
    });
    loop.run_forever();
    EXPECT_EQ(calls, 3);
    std::vector<char> chunk(100'000);
    while (::send(here.get(), chunk.data(), chunk.size(), 0) > 0) {
    }
    iterate();
    const int when_full = calls;
    loop.call_later(1s, [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_LE(calls, when_full + 1);
}

TEST_F(WatchersTest, FD_02_adding_again_replaces_and_directions_are_independent) {
    const auto owned_by_first = std::make_shared<int>(0);
    loop.add_reader(here.get(), [this, owned_by_first] { log.push_back("first reader"); });
    loop.add_reader(here.get(), note("reader"));
    EXPECT_EQ(owned_by_first.use_count(), 1);
    loop.add_writer(here.get(), note("writer"));
    send();
    loop.call_later(-1s, note("timer"));
    iterate();
    EXPECT_EQ(log, (Log{"reader", "writer", "timer"}));  // reading comes first
    EXPECT_TRUE(loop.remove_reader(here.get()));
    log.clear();
    iterate();
    iterate();
    EXPECT_EQ(log, (Log{"writer", "writer"}));
}

TEST_F(WatchersTest, FD_03_remove_tells_whether_there_was_one) {
    EXPECT_FALSE(loop.remove_reader(here.get()));
    EXPECT_FALSE(loop.remove_writer(-1));
    loop.add_reader(here.get(), note("reader"));
    EXPECT_FALSE(loop.remove_writer(here.get()));
    EXPECT_TRUE(loop.remove_reader(here.get()));
    EXPECT_FALSE(loop.remove_reader(here.get()));
    send();
    iterate();
    EXPECT_EQ(log, Log{});
}

TEST_F(WatchersTest, FD_03_a_callback_already_queued_is_not_called_after_its_removal) {
    const auto owned_by_writer = std::make_shared<int>(0);
    send();
    loop.add_reader(here.get(), [&] {
        log.push_back("reader");
        EXPECT_TRUE(loop.remove_writer(here.get()));  // queued behind us
        EXPECT_EQ(owned_by_writer.use_count(), 1);
    });
    loop.add_writer(here.get(), [this, owned_by_writer] { log.push_back("writer"); });
    iterate();
    EXPECT_EQ(log, Log{"reader"});
}

TEST_F(WatchersTest, a_callback_removes_itself_and_its_captures_live_to_its_end) {
    send();
    const auto owned_by_callback = std::make_shared<int>(7);
    loop.add_reader(here.get(), [&, owned_by_callback] {
        EXPECT_TRUE(loop.remove_reader(here.get()));
        EXPECT_FALSE(loop.remove_reader(here.get()));
        log.push_back(std::to_string(*owned_by_callback));
    });
    iterate();
    iterate();
    EXPECT_EQ(log, Log{"7"});
    EXPECT_EQ(owned_by_callback.use_count(), 1);
}

TEST_F(WatchersTest, a_callback_replaces_itself) {
    send();
    loop.add_reader(here.get(), [&] {
        log.push_back("old");
        loop.add_reader(here.get(), note("new"));
    });
    iterate();
    iterate();
    iterate();
    EXPECT_EQ(log, (Log{"old", "new", "new"}));
}

TEST_F(WatchersTest, an_exception_is_reported_and_the_descriptor_stays_watched) {
    send();
    loop.add_reader(here.get(), [] { throw std::runtime_error("bad"); });
    iterate();
    iterate();
    EXPECT_EQ(errors.exceptions(),
              (std::vector<std::string>{"std::runtime_error: bad", "std::runtime_error: bad"}));
    EXPECT_TRUE(loop.remove_reader(here.get()));
}

TEST_F(WatchersTest, FD_04_what_is_no_descriptor_is_a_value_error) {
    EXPECT_THROW(loop.add_reader(-1, [] {}), std::invalid_argument);
    EXPECT_THROW(loop.add_writer(-1, [] {}), std::invalid_argument);
    const int closed = ::dup(here.get());
    ::close(closed);
    EXPECT_THROW(loop.add_reader(closed, [] {}), std::invalid_argument);
    EXPECT_FALSE(loop.remove_reader(closed));
}

TEST_F(WatchersTest, end_of_stream_is_readable) {
    loop.add_reader(here.get(), [&] {
        char byte = 0;
        log.push_back(std::to_string(::recv(here.get(), &byte, 1, 0)));
        loop.stop();
    });
    there.reset();
    loop.run_forever();
    EXPECT_EQ(log, Log{"0"});
}

TEST_F(WatchersTest, a_regular_file_is_always_ready) {
    const os::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    loop.add_reader(file.get(), note("ready"));
    loop.call_later(-1s, note("timer"));
    iterate();
    iterate();
    EXPECT_TRUE(loop.remove_reader(file.get()));
    iterate();
    EXPECT_EQ(std::ranges::count(log, "ready"), 2);
    EXPECT_EQ(std::ranges::count(log, "timer"), 1);
}

TEST_F(WatchersTest, a_descriptor_number_is_used_again) {
    int calls = 0;
    for (int i = 0; i < 20; ++i) {
        int ends[2] = {};
        ASSERT_EQ(::pipe(ends), 0);
        const os::Fd reader(ends[0]);
        const os::Fd writer(ends[1]);
        loop.add_reader(reader.get(), [&] {
            ++calls;
            loop.stop();
        });
        ASSERT_EQ(::write(writer.get(), "x", 1), 1);
        loop.run_forever();
        EXPECT_TRUE(loop.remove_reader(reader.get()));
    }
    EXPECT_EQ(calls, 20);
}

TEST_F(WatchersTest, closing_with_watchers_waiting_and_queued) {
    const auto owned_by_all = std::make_shared<int>(0);
    send();
    loop.add_reader(there.get(), [owned_by_all] {});
    loop.add_writer(there.get(), [owned_by_all] {});
    loop.add_reader(here.get(), [&, owned_by_all] { loop.stop(); });
    loop.add_writer(here.get(), [owned_by_all] { throw KeyboardInterrupt(); });
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);
    loop.close();
    EXPECT_EQ(owned_by_all.use_count(), 1);
}

TEST_F(WatchersTest, destructors_of_removed_callbacks_may_use_the_loop) {
    struct Remover {
        Remover(EventLoop& l, int fd) : loop(&l), other(fd) {}
        Remover(Remover&& from) noexcept
            : loop(std::exchange(from.loop, nullptr)), other(from.other) {}
        ~Remover() {
            if (loop != nullptr) loop->remove_writer(other);
        }
        void operator()() const {}
        EventLoop* loop;
        int other;
    };
    loop.add_reader(here.get(), Remover(loop, there.get()));
    loop.add_reader(there.get(), Remover(loop, here.get()));
    loop.add_writer(there.get(), note("writer"));
    loop.add_writer(here.get(), note("writer"));
    EXPECT_TRUE(loop.remove_reader(here.get()));
    EXPECT_FALSE(loop.remove_writer(there.get()));
    loop.close();
}

}  // namespace
}  // namespace asyncio
