// SPDX-License-Identifier: MIT
//
// All reads of StreamReader, mixed at random and cancelled, against a model.
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

/// A random stream in random pieces, read by a random mix of reads of which many are cancelled,
/// some between their wake-up and their turn. What the reads returned, joined, is the stream.
class RandomReads {
  public:
    explicit RandomReads(unsigned seed) : random_(seed), reader_(8 + seed % 200) {
        const std::size_t size = 2000 + below(3000);
        for (std::size_t i = 0; i < size; ++i) stream_ += "abcdefg|#\n"[below(10)];
    }

    Coro<> run() {
        while (seen_.size() < stream_.size() || !ended_) {
            if (below(3) == 0) feed();
            Task<> task = create_task(read_once());
            for (std::size_t turns = below(3); turns > 0; --turns) co_await sleep(0s);
            if (below(2) == 0) feed();
            if (below(3) == 0) {
                task.cancel();
                ++cancels_;
            }
            while (!task.done()) {
                feed();
                co_await sleep(0s);
            }
            const auto outcome = co_await as_outcome(task);
            if (!outcome && !outcome.cancelled()) ADD_FAILURE() << describe(outcome.error());
        }
        EXPECT_EQ(seen_, stream_);
        EXPECT_GT(cancels_, 10);
    }

  private:
    std::size_t below(std::size_t n) {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
    }

    void feed() {
        if (fed_ == stream_.size()) {
            if (!eof_fed_) reader_.feed_eof();
            eof_fed_ = true;
            return;
        }
        const std::size_t size =
            std::min(stream_.size() - fed_, 1 + below(below(10) == 0 ? 300 : 9));
        reader_.feed_data(std::string_view(stream_).substr(fed_, size));
        fed_ += size;
    }

    void take(std::string_view data) {
        ASSERT_LE(seen_.size() + data.size(), stream_.size());
        ASSERT_EQ(data, std::string_view(stream_).substr(seen_.size(), data.size()));
        seen_ += data;
    }

    Coro<> read_once() {
        try {
            co_await read_by_chance();
        } catch (const IncompleteReadError& error) {
            EXPECT_TRUE(eof_fed_);
            take(error.partial());
            ended_ = true;
        } catch (const LimitOverrunError& error) {
            EXPECT_GT(error.consumed(), 0u);
            overrun_ = error.consumed();
        }
        if (overrun_ > 0) {
            const std::string skipped = co_await reader_.readexactly(std::exchange(overrun_, 0));
            take(skipped);
        }
    }

    Coro<> read_by_chance() {
        const std::size_t n = 1 + below(below(5) == 0 ? 400 : 12);
        switch (below(6)) {
            case 0: {
                const std::string data = co_await reader_.read(n);
                EXPECT_LE(data.size(), n);
                if (data.empty()) ended_ = true;
                take(data);
                break;
            }
            case 1: {
                const std::string data = co_await reader_.readexactly(n);
                EXPECT_EQ(data.size(), n);
                take(data);
                break;
            }
            case 2: {
                std::vector<std::byte> memory(n);
                const std::size_t count = co_await reader_.read_into(memory);
                if (count == 0) ended_ = true;
                take(std::string_view(reinterpret_cast<const char*>(memory.data()), count));
                break;
            }
            case 3: {
                const std::string data = co_await reader_.readuntil("#");
                EXPECT_EQ(data.find('#'), data.size() - 1);
                take(data);
                break;
            }
            case 4: {
                std::vector<std::string> ends = {"a|", "#\n#", "g"};
                const std::string data = co_await reader_.readuntil(std::move(ends));
                EXPECT_TRUE(data.ends_with("a|") || data.ends_with("#\n#") || data.ends_with("g"));
                take(data);
                break;
            }
            default: {
                const std::string_view shown = co_await reader_.peek();
                const std::size_t count = std::min(n, shown.size());
                if (shown.empty()) ended_ = true;
                take(shown.substr(0, count));
                reader_.consume(count);
            }
        }
    }

    std::mt19937 random_;
    StreamReader reader_;
    std::string stream_;
    std::string seen_;
    std::size_t fed_ = 0;
    std::size_t overrun_ = 0;
    int cancels_ = 0;
    bool eof_fed_ = false;
    bool ended_ = false;
};

TEST(StreamReader, no_byte_is_lost_duplicated_or_reordered) {
    const int rounds = scaled(150, 15);
    for (int seed = 1; seed <= rounds && !::testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE(seed);
        testing::run([seed]() -> Coro<> {
            RandomReads reads(static_cast<unsigned>(seed));
            co_await reads.run();
        });
    }
}

}  // namespace
}  // namespace asyncio
