// SPDX-License-Identifier: MIT
//
// StreamReader, fed by hand: each behaviour of area RD.
#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/stream_fixture_test.hpp>

#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace asyncio {
namespace {

using namespace stream_tests;

const IncompleteReadError kNoIncomplete("?", 0);
const LimitOverrunError kNoOverrun("?", 0);

TEST(StreamReader, RD_01_limit_must_be_positive) {
    EXPECT_THROW(StreamReader(0), std::invalid_argument);
    EXPECT_NO_THROW(StreamReader(1));
}

TEST(StreamReader, RD_02_read_returns_what_is_there) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        reader.feed_data("hello world");
        EXPECT_EQ(co_await reader.read(5), "hello");
        EXPECT_EQ(co_await reader.read(100), " world");
    });
}

TEST(StreamReader, RD_02_read_waits_for_one_byte_and_leaves_the_rest) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        Task<std::string> task = create_task(reader.read(3));
        co_await sleep(0s);
        EXPECT_FALSE(task.done());
        reader.feed_data("abcdef");
        reader.feed_data("ghi");
        EXPECT_EQ(co_await task, "abc");
        EXPECT_EQ(co_await reader.read(100), "defghi");
    });
}

TEST(StreamReader, RD_02_a_short_piece_is_enough) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        Task<std::string> task = create_task(reader.read(1000));
        co_await sleep(0s);
        reader.feed_data("x");
        EXPECT_EQ(co_await task, "x");
    });
}

TEST(StreamReader, RD_03_read_zero_returns_at_once) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        EXPECT_EQ(co_await reader.read(0), "");
        reader.feed_data("data");
        EXPECT_EQ(co_await reader.read(0), "");
        EXPECT_EQ(co_await reader.readexactly(0), "");
        EXPECT_EQ(co_await reader.read_into(std::span<std::byte>()), 0u);
        EXPECT_EQ(co_await reader.read(10), "data");
    });
}

TEST(StreamReader, RD_04_read_all_waits_for_the_end_whatever_the_limit) {
    testing::run([]() -> Coro<> {
        StreamReader reader(3);
        Task<std::string> task = create_task(reader.read());
        for (int i = 0; i < 5; ++i) {
            reader.feed_data("0123456789");
            co_await sleep(0s);
            EXPECT_FALSE(task.done());
        }
        reader.feed_eof();
        EXPECT_EQ((co_await task).size(), 50u);
        EXPECT_EQ(co_await reader.read(), "");
    });
}

TEST(StreamReader, RD_05_read_at_the_end_returns_nothing) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        Task<std::string> task = create_task(reader.read(10));
        co_await sleep(0s);
        reader.feed_eof();
        EXPECT_EQ(co_await task, "");
        EXPECT_EQ(co_await reader.read(10), "");
        EXPECT_EQ(co_await reader.read(), "");
        std::byte memory[4];
        EXPECT_EQ(co_await reader.read_into(memory), 0u);
    });
}

TEST(StreamReader, RD_06_readexactly_returns_exactly_that_also_beyond_the_limit) {
    testing::run([]() -> Coro<> {
        StreamReader reader(2);
        reader.feed_data("abc");
        Task<std::string> task = create_task(reader.readexactly(10));
        co_await sleep(0s);
        reader.feed_data("defghi");
        co_await sleep(0s);
        EXPECT_FALSE(task.done());
        reader.feed_data("jkl");
        EXPECT_EQ(co_await task, "abcdefghij");
        EXPECT_EQ(co_await reader.readexactly(2), "kl");
    });
}

TEST(StreamReader, RD_07_readexactly_at_eof) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        reader.feed_data("abc");
        Task<std::string> task = create_task(reader.readexactly(5));
        co_await sleep(0s);
        reader.feed_eof();
        const auto outcome = co_await as_outcome(task);
        const IncompleteReadError error = error_in(outcome, kNoIncomplete);
        EXPECT_EQ(error.partial(), "abc");
        EXPECT_EQ(error.expected(), 5u);
        EXPECT_STREQ(error.what(), "3 bytes read on a total of 5 expected bytes");
        EXPECT_TRUE(reader.at_eof());
        EXPECT_EQ(co_await reader.read(), "");
    });
}

TEST(StreamReader, RD_08_readline_includes_the_newline) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        reader.feed_data("one\n\ntw");
        EXPECT_EQ(co_await reader.readline(), "one\n");
        EXPECT_EQ(co_await reader.readline(), "\n");
        Task<std::string> task = create_task(reader.readline());
        co_await sleep(0s);
        reader.feed_data("o\nthree");
        EXPECT_EQ(co_await task, "two\n");
        EXPECT_EQ(co_await reader.read(100), "three");
    });
}

TEST(StreamReader, RD_09_readline_at_the_end) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        reader.feed_data("last");
        Task<std::string> task = create_task(reader.readline());
        co_await sleep(0s);
        EXPECT_FALSE(task.done());
        reader.feed_eof();
        EXPECT_EQ(co_await task, "last");
        EXPECT_EQ(co_await reader.readline(), "");
        EXPECT_EQ(co_await reader.readline(), "");
    });
}

TEST(StreamReader, RD_10_a_complete_line_that_is_too_long_is_dropped) {
    testing::run([]() -> Coro<> {
        StreamReader reader(3);
        reader.feed_data("toolong\nok\n");
        const auto outcome = co_await as_outcome(reader.readline());
        EXPECT_EQ(error_of(outcome),
                  "std::invalid_argument: Separator is found, but chunk is longer than limit");
        EXPECT_EQ(co_await reader.readline(), "ok\n");
    });
}

TEST(StreamReader, RD_10_an_incomplete_line_that_is_too_long_empties_the_buffer) {
    testing::run([]() -> Coro<> {
        StreamReader reader(3);
        Task<std::string> task = create_task(reader.readline());
        co_await sleep(0s);
        reader.feed_data("toolong");
        const auto outcome = co_await as_outcome(task);
        EXPECT_EQ(error_of(outcome),
                  "std::invalid_argument: Separator is not found, and chunk exceed the limit");
        reader.feed_data("ok\n");
        EXPECT_EQ(co_await reader.readline(), "ok\n");
    });
}

TEST(StreamReader, RD_11_exactly_the_limit_is_accepted) {
    testing::run([]() -> Coro<> {
        StreamReader reader(3);
        reader.feed_data("abc\nabcd\nxyz");
        EXPECT_EQ(co_await reader.readline(), "abc\n");
        const auto too_long = co_await as_outcome(reader.readline());
        EXPECT_FALSE(too_long);
        Task<std::string> task = create_task(reader.readline());
        co_await sleep(0s);
        EXPECT_FALSE(task.done());  // "xyz" may still become a line of three
        reader.feed_data("\n");
        EXPECT_EQ(co_await task, "xyz\n");
    });
}

TEST(StreamReader, RD_12_readuntil_finds_a_separator_across_pieces) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        Task<std::string> task = create_task(reader.readuntil("END"));
        for (const char* piece : {"one", "E", "N", "EN", "Drest"}) {
            co_await sleep(0s);
            EXPECT_FALSE(task.done());
            reader.feed_data(piece);
        }
        EXPECT_EQ(co_await task, "oneENEND");
        EXPECT_EQ(co_await reader.read(100), "rest");
    });
}

TEST(StreamReader, RD_13_empty_separators_are_refused) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        EXPECT_THROW((void)reader.readuntil(""), std::invalid_argument);
        EXPECT_THROW((void)reader.readuntil(std::vector<std::string>()), std::invalid_argument);
        const std::vector<std::string> one_empty = {"a", ""};
        EXPECT_THROW((void)reader.readuntil(one_empty), std::invalid_argument);
        co_return;
    });
}

TEST(StreamReader, RD_14_readuntil_at_eof) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        reader.feed_data("some data");
        reader.feed_eof();
        const auto outcome = co_await as_outcome(reader.readuntil("|"));
        const IncompleteReadError error = error_in(outcome, kNoIncomplete);
        EXPECT_EQ(error.partial(), "some data");
        EXPECT_EQ(error.expected(), std::nullopt);
        EXPECT_STREQ(error.what(), "9 bytes read on a total of undefined expected bytes");
        EXPECT_TRUE(reader.at_eof());
    });
}

TEST(StreamReader, RD_15_readuntil_beyond_the_limit_keeps_the_data) {
    testing::run([]() -> Coro<> {
        StreamReader reader(3);
        reader.feed_data("some dataAA");
        const auto missing = co_await as_outcome(reader.readuntil("AAA"));
        const LimitOverrunError error = error_in(missing, kNoOverrun);
        EXPECT_STREQ(error.what(), "Separator is not found, and chunk exceed the limit");
        EXPECT_EQ(error.consumed(), 9u);  // "some data": what can be no part of a separator
        reader.feed_data("A!");
        const auto late = co_await as_outcome(reader.readuntil("AAA"));
        const LimitOverrunError found = error_in(late, kNoOverrun);
        EXPECT_STREQ(found.what(), "Separator is found, but chunk is longer than limit");
        EXPECT_EQ(found.consumed(), 9u);
        EXPECT_EQ(co_await reader.readexactly(9), "some data");
        EXPECT_EQ(co_await reader.readuntil("AAA"), "AAA");
        EXPECT_EQ(co_await reader.read(10), "!");
    });
}

TEST(StreamReader, RD_16_the_separator_that_ends_first_wins) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        reader.feed_data("a\r\nb\n--long--c-d");
        std::vector<std::string> ends = {"--long--", "\n", "\r\n"};
        EXPECT_EQ(co_await reader.readuntil(ends), "a\r\n");
        EXPECT_EQ(co_await reader.readuntil(ends), "b\n");
        EXPECT_EQ(co_await reader.readuntil(ends), "--long--");
        std::vector<std::string> nested = {"c-d", "-"};  // "-" ends before "c-d"
        EXPECT_EQ(co_await reader.readuntil(nested), "c-");
    });
}

TEST(StreamReader, RD_17_the_search_resumes_without_missing_a_straddling_separator) {
    testing::run([]() -> Coro<> {
        for (std::size_t cut = 0; cut <= 9; ++cut) {
            StreamReader reader;
            const std::string text = "xxab--abc";
            std::vector<std::string> ends = {"abc", "-----", "zz"};
            Task<std::string> task = create_task(reader.readuntil(ends));
            co_await sleep(0s);
            reader.feed_data(text.substr(0, cut));
            co_await sleep(0s);
            reader.feed_data(text.substr(cut));
            EXPECT_EQ(co_await task, text) << cut;
        }
    });
}

TEST(StreamReader, RD_18_lines_until_the_end) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        reader.feed_data("1\n\n3");
        reader.feed_eof();
        std::vector<std::string> seen;
        auto lines = reader.lines();
        while (auto line = co_await lines.next()) seen.push_back(*line);
        EXPECT_EQ(seen, (std::vector<std::string>{"1\n", "\n", "3"}));
    });
}

TEST(StreamReader, RD_19_at_eof_only_when_empty) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        EXPECT_FALSE(reader.at_eof());
        reader.feed_data("x");
        EXPECT_FALSE(reader.at_eof());
        reader.feed_eof();
        EXPECT_FALSE(reader.at_eof());
        EXPECT_EQ(co_await reader.read(1), "x");
        EXPECT_TRUE(reader.at_eof());
    });
}

TEST(StreamReader, RD_20_a_second_read_fails_and_leaves_the_first_alone) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        Task<std::string> first = create_task(reader.read(5));
        co_await sleep(0s);
        const std::string expected =
            "() called while another coroutine is already waiting for incoming data";
        const auto read = co_await as_outcome(reader.read(5));
        EXPECT_EQ(error_of(read), "std::logic_error: read" + expected);
        const auto line = co_await as_outcome(reader.readline());
        EXPECT_EQ(error_of(line), "std::logic_error: readline" + expected);
        const auto exactly = co_await as_outcome(reader.readexactly(2));
        EXPECT_EQ(error_of(exactly), "std::logic_error: readexactly" + expected);
        reader.feed_data("data");
        EXPECT_EQ(co_await first, "data");
    });
}

TEST(StreamReader, RD_20_also_when_the_first_is_woken_but_has_not_run) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        Task<std::string> first = create_task(reader.read(2));
        co_await sleep(0s);
        reader.feed_data("abcd");
        const auto second = co_await as_outcome(reader.read(2));
        EXPECT_FALSE(second);
        EXPECT_EQ(co_await first, "ab");
        EXPECT_EQ(co_await reader.read(9), "cd");
    });
}

TEST(StreamReader, RD_21_an_exception_fails_waiting_and_later_reads) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        EXPECT_EQ(reader.exception(), nullptr);
        Task<std::string> waiting = create_task(reader.readexactly(10));
        co_await sleep(0s);
        reader.feed_data("data");
        reader.set_exception(std::make_exception_ptr(std::runtime_error("broken")));
        const auto first = co_await as_outcome(waiting);
        EXPECT_EQ(error_of(first), "std::runtime_error: broken");
        EXPECT_NE(reader.exception(), nullptr);
        const auto some = co_await as_outcome(reader.read(1));
        EXPECT_EQ(error_of(some), "std::runtime_error: broken");
        const auto all = co_await as_outcome(reader.read());
        EXPECT_EQ(error_of(all), "std::runtime_error: broken");
        const auto line = co_await as_outcome(reader.readline());
        EXPECT_EQ(error_of(line), "std::runtime_error: broken");
        const auto exactly = co_await as_outcome(reader.readexactly(1));
        EXPECT_EQ(error_of(exactly), "std::runtime_error: broken");
        const auto until = co_await as_outcome(reader.readuntil("d"));
        EXPECT_EQ(error_of(until), "std::runtime_error: broken");
        std::byte memory[4];
        const auto into = co_await as_outcome(reader.read_into(memory));
        EXPECT_EQ(error_of(into), "std::runtime_error: broken");
    });
}

TEST(StreamReader, RD_22_a_cancelled_read_leaves_the_reader_usable) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        Task<std::string> cancelled = create_task(reader.readline());
        co_await sleep(0s);
        cancelled.cancel();
        const auto outcome = co_await as_outcome(cancelled);
        EXPECT_TRUE(outcome.cancelled());
        reader.feed_data("line\n");
        EXPECT_EQ(co_await reader.readline(), "line\n");
        reader.set_exception(std::make_exception_ptr(std::runtime_error("late")));
        EXPECT_TRUE(cancelled.cancelled());
    });
}

TEST(StreamReader, RD_22_cancelled_between_wake_up_and_resumption_loses_nothing) {
    testing::run([]() -> Coro<> {
        std::byte memory[2];
        for (int kind = 0; kind < 3; ++kind) {
            StreamReader reader;
            auto read = [&]() -> Coro<> {
                if (kind == 0) (void)co_await reader.read(2);
                if (kind == 1) (void)co_await reader.read_into(memory);
                if (kind == 2) (void)co_await reader.readexactly(2);
            };
            Task<> cancelled = create_task(read());
            co_await sleep(0s);
            reader.feed_data("abc");  // wakes it
            reader.feed_data("def");
            cancelled.cancel();
            const auto outcome = co_await as_outcome(cancelled);
            EXPECT_TRUE(outcome.cancelled());
            EXPECT_EQ(co_await reader.read(10), "abcdef") << kind;
        }
    });
}

TEST(StreamReader, RD_23_the_transport_is_paused_above_twice_the_limit) {
    testing::run([]() -> Coro<> {
        FakeConnection connection(4);
        StreamReader& reader = connection.reader;
        FakeTransport& transport = *connection.transport;
        reader.feed_data("12345678");
        EXPECT_TRUE(transport.reading);
        reader.feed_data("9");
        EXPECT_FALSE(transport.reading);
        reader.feed_data("A");  // what was on its way
        EXPECT_EQ(transport.pauses, 1);
        EXPECT_EQ(co_await reader.read(5), "12345");
        EXPECT_FALSE(transport.reading);  // 5 left
        EXPECT_EQ(co_await reader.read(1), "6");
        EXPECT_TRUE(transport.reading);  // 4 left
        EXPECT_EQ(transport.resumes, 1);
    });
}

TEST(StreamReader, RD_23_a_read_that_needs_more_resumes_the_transport) {
    testing::run([]() -> Coro<> {
        FakeConnection connection(4);
        StreamReader& reader = connection.reader;
        FakeTransport& transport = *connection.transport;
        reader.feed_data("1234567890");
        EXPECT_FALSE(transport.reading);
        Task<std::string> task = create_task(reader.readexactly(30));
        co_await sleep(0s);
        EXPECT_TRUE(transport.reading);
        reader.feed_data("1234567890");
        EXPECT_TRUE(transport.reading);  // it still wants more
        reader.feed_data("1234567890++++++++++");
        EXPECT_FALSE(transport.reading);  // satisfied: what is left counts
        EXPECT_EQ((co_await task).size(), 30u);
        EXPECT_EQ(transport.reading, false);  // ten left, above four
        EXPECT_EQ((co_await reader.read(100)).size(), 10u);
        EXPECT_TRUE(transport.reading);
    });
}

TEST(StreamReader, RD_23_a_failing_read_resumes_the_transport_too) {
    testing::run([]() -> Coro<> {
        FakeConnection connection(4);
        StreamReader& reader = connection.reader;
        reader.feed_data("123456789 without a newline");
        EXPECT_FALSE(connection.transport->reading);
        const auto outcome = co_await as_outcome(reader.readline());
        EXPECT_FALSE(outcome);
        EXPECT_TRUE(connection.transport->reading);
    });
}

TEST(StreamReader, RD_25_empty_data_is_ignored_and_data_after_eof_refused) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        Task<std::string> task = create_task(reader.read(5));
        co_await sleep(0s);
        reader.feed_data("");
        co_await sleep(0s);
        EXPECT_FALSE(task.done());
        reader.feed_eof();
        EXPECT_EQ(co_await task, "");
        EXPECT_THROW(reader.feed_data("x"), std::logic_error);
    });
}

TEST(StreamReader, peek_shows_without_taking) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        Task<std::string_view> task = create_task(reader.peek());
        co_await sleep(0s);
        reader.feed_data("abc");
        EXPECT_EQ(co_await task, "abc");
        EXPECT_THROW(reader.consume(4), std::out_of_range);
        reader.consume(2);
        EXPECT_EQ(co_await reader.peek(), "c");
        EXPECT_EQ(co_await reader.read(5), "c");
        reader.feed_eof();
        EXPECT_EQ(co_await reader.peek(), "");
    });
}

TEST(StreamReader, a_read_that_is_dropped_unawaited_changes_nothing) {
    testing::run([]() -> Coro<> {
        StreamReader reader;
        {
            [[maybe_unused]] auto dropped = reader.read(5);
        }
        reader.feed_data("abc");
        EXPECT_EQ(co_await reader.read(5), "abc");
    });
}

TEST(StreamReader, the_reader_may_die_while_its_read_waits) {
    testing::run([]() -> Coro<> {
        auto reader = std::make_unique<StreamReader>();
        StreamReader other;
        Task<std::string> task = create_task(reader->read(5));
        co_await sleep(0s);
        reader = nullptr;
        co_await sleep(0s);
        EXPECT_FALSE(task.done());
        task.cancel();
        const auto outcome = co_await as_outcome(task);
        EXPECT_TRUE(outcome.cancelled());
    });
}

TEST(StreamReader, the_loop_may_close_under_a_waiting_read) {
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    StreamReader reader;
    std::vector<std::byte> memory(10);
    loop->run_until_complete([&]() -> Coro<> {
        (void)create_task([&]() -> Coro<> { (void)co_await reader.read_into(memory); });
        co_await sleep(0s);
        co_await sleep(0s);
    });
    loop->close();
    loop = nullptr;
    reader.feed_data("late");  // nobody is there any more
    EXPECT_EQ(errors.messages(),
              (std::vector<std::string>{"Task was destroyed but it is pending!"}));
}

}  // namespace
}  // namespace asyncio
