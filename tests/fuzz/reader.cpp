// SPDX-License-Identifier: MIT
//
// StreamReader: a script of pieces that arrive, ends, errors, reads of every kind and
// cancellations, against a model in terms of one string: what each read gives, when it waits, when
// the transport is paused. The model's search for separators is the naive one.
//
// covers: stream/read_request.cpp stream/reader.hpp stream/reader.cpp
#include <asyncio/stream/stream_fixture_test.hpp>

#include <optional>
#include <system_error>
#include <variant>
#include <vector>

#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

using stream_tests::FakeConnection;

enum class Kind : std::uint8_t { some, into, exactly, until, line, next_line, peek, all };

struct Request {
    Kind kind = Kind::some;
    std::size_t size = 0;
    std::vector<std::string> separators;
};

/// What a read came to, as a text.
std::string text_of(const std::string& data) { return "data " + data; }
std::string overrun(std::size_t consumed) { return "overrun " + std::to_string(consumed); }
constexpr const char* kEnd = "end of lines";
constexpr const char* kTooLong = "too long";
constexpr const char* kFailed = "failed";
constexpr const char* kCancelled = "cancelled";

/// The rules of asyncio's StreamReader on one string.
class Model {
  public:
    explicit Model(std::size_t limit) : limit_(limit) {}

    /// Ready at once?
    void begin(const Request& request) {
        request_ = request;
        taken_.clear();
        offset_ = 0;
        verdict_ = Verdict::searching;
        waits_ = !ready();
        if (waits_) paused = false;
    }
    bool waits() const { return waits_; }

    void feed(std::string_view data) {
        if (waits_ && takes_directly() && !data.empty()) {
            const std::size_t count = std::min(request_.size, data.size());
            taken_ = data.substr(0, count);
            data.remove_prefix(count);
            waits_ = false;
        }
        buffer += data;
        again();
        if (buffer.size() > 2 * limit_ && !waits_) paused = true;
    }
    void feed_eof() {
        eof = true;
        again();
    }
    void fail() {
        failed = true;
        again();
    }
    void cancel() {
        buffer.insert(0, taken_);
        waits_ = false;
    }

    std::string result() {
        const std::string text = take();
        if (paused && buffer.size() <= limit_) paused = false;
        return text;
    }
    void consume(std::size_t count) {
        buffer.erase(0, count);
        if (paused && buffer.size() <= limit_) paused = false;
    }

    std::string buffer;
    bool eof = false;
    bool failed = false;
    bool paused = false;

  private:
    enum class Verdict : std::uint8_t { searching, found, found_over_limit, missing_over_limit };

    bool over() const { return eof || failed; }
    bool takes_directly() const {
        return (request_.kind == Kind::some || request_.kind == Kind::into) && buffer.empty();
    }
    void again() {
        if (waits_ && ready()) waits_ = false;
    }

    bool ready() {
        switch (request_.kind) {
            case Kind::some:
            case Kind::into:
                return request_.size == 0 || !buffer.empty() || over();
            case Kind::exactly:
                return buffer.size() >= request_.size || over();
            case Kind::peek:
                return !buffer.empty() || over();
            case Kind::all:
                return over();
            default:
                if (failed) return true;
                search();
                return verdict_ != Verdict::searching || eof;
        }
    }

    /// The separator that ends first; of those that end there, the first in the list.
    void search() {
        std::size_t shortest = SIZE_MAX;
        std::size_t longest = 0;
        for (const std::string& separator : request_.separators) {
            shortest = std::min(shortest, separator.size());
            longest = std::max(longest, separator.size());
        }
        if (buffer.size() < offset_ + shortest) return;
        for (std::size_t end = 1; end <= buffer.size(); ++end)
            for (const std::string& separator : request_.separators) {
                if (!std::string_view(buffer).substr(0, end).ends_with(separator)) continue;
                start_ = end - separator.size();
                end_ = end;
                verdict_ = start_ > limit_ ? Verdict::found_over_limit : Verdict::found;
                return;
            }
        offset_ = buffer.size() + 1 > longest ? buffer.size() + 1 - longest : 0;
        if (offset_ > limit_) verdict_ = Verdict::missing_over_limit;
    }

    std::string cut(std::size_t count) {
        std::string data = buffer.substr(0, count);
        buffer.erase(0, count);
        return data;
    }

    std::string take() {
        if (!taken_.empty()) return text_of(std::exchange(taken_, std::string()));
        if (failed) return kFailed;
        switch (request_.kind) {
            case Kind::some:
            case Kind::into:
                return text_of(cut(request_.size));
            case Kind::exactly:
                if (buffer.size() < request_.size) return "partial " + cut(buffer.size());
                return text_of(cut(request_.size));
            case Kind::peek:
                return text_of(buffer);
            case Kind::all:
                return text_of(cut(buffer.size()));
            case Kind::until:
                if (verdict_ == Verdict::found) return text_of(cut(end_));
                if (verdict_ == Verdict::found_over_limit) return overrun(start_);
                if (verdict_ == Verdict::missing_over_limit) return overrun(offset_);
                return "partial " + cut(buffer.size());
            default:
                return take_line();
        }
    }
    std::string take_line() {
        if (verdict_ == Verdict::found_over_limit || verdict_ == Verdict::missing_over_limit) {
            cut(verdict_ == Verdict::found_over_limit ? end_ : buffer.size());
            return kTooLong;
        }
        const std::string line = cut(verdict_ == Verdict::found ? end_ : buffer.size());
        return line.empty() && request_.kind == Kind::next_line ? kEnd : text_of(line);
    }

    const std::size_t limit_;
    Request request_;
    std::string taken_;
    std::size_t offset_ = 0;
    std::size_t start_ = 0;
    std::size_t end_ = 0;
    Verdict verdict_ = Verdict::searching;
    bool waits_ = false;
};

Coro<std::string> perform(const StreamReader& reader, const Request& request) {
    switch (request.kind) {
        case Kind::some: {
            const std::string data = co_await reader.read(request.size);
            co_return text_of(data);
        }
        case Kind::into: {
            std::vector<std::byte> memory(request.size);
            const std::size_t count = co_await reader.read_into(memory);
            FUZZ_CHECK(count <= memory.size());
            co_return text_of({reinterpret_cast<const char*>(memory.data()), count});
        }
        case Kind::exactly: {
            const std::string data = co_await reader.readexactly(request.size);
            co_return text_of(data);
        }
        case Kind::until: {
            const std::string data = co_await reader.readuntil(request.separators);
            co_return text_of(data);
        }
        case Kind::line: {
            const std::string data = co_await reader.readline();
            co_return text_of(data);
        }
        case Kind::next_line: {
            const auto line = co_await reader.lines().next();
            co_return line ? text_of(*line) : kEnd;
        }
        case Kind::peek: {
            const std::string_view data = co_await reader.peek();
            co_return text_of(std::string(data));
        }
        default: {
            const std::string data = co_await reader.read();
            co_return text_of(data);
        }
    }
}

Coro<std::string> outcome(const StreamReader& reader, const Request& request) {
    std::string text;
    try {
        text = co_await perform(reader, request);
    } catch (const CancelledError&) {
        text = kCancelled;
    } catch (const IncompleteReadError& error) {
        text = "partial " + error.partial();
    } catch (const LimitOverrunError& error) {
        text = overrun(error.consumed());
    } catch (const std::invalid_argument&) {
        text = kTooLong;
    } catch (const std::system_error&) {
        text = kFailed;
    }
    co_return text;
}

Request some_request(Input& input) {
    Request request{.kind = static_cast<Kind>(input.below(8)), .size = 0, .separators = {"\n"}};
    if (request.kind <= Kind::exactly) request.size = input.below(40);
    if (request.kind != Kind::until) return request;
    request.separators.clear();
    for (std::size_t n = 1 + input.below(3); n > 0; --n)
        request.separators.emplace_back(input.text(1 + input.below(3)));
    std::erase(request.separators, "");
    if (request.separators.empty()) request.separators = {"#"};
    return request;
}

class Script {
  public:
    explicit Script(Input& input)
        : input_(input), limit_(1 + input.below(30)), connection_(limit_), model_(limit_) {}

    Coro<> run() {
        while (!input_.empty()) {
            if (reading_ && input_.below(3) == 0) co_await finish();
            if (!reading_ && input_.chance())
                co_await begin();
            else
                arrive();
            check();
        }
        if (reading_) co_await finish();
    }

  private:
    Coro<> begin() {
        if (input_.below(8) == 7) {
            const std::size_t count = input_.below(40);
            const bool enough = count <= model_.buffer.size();
            try {
                connection_.reader.consume(count);
                FUZZ_CHECK(enough);
                model_.consume(count);
            } catch (const std::out_of_range&) {
                FUZZ_CHECK(!enough);
            }
            co_return;
        }
        request_ = some_request(input_);
        reading_ = create_task(outcome(connection_.reader, request_));
        co_await sleep(Duration::zero());
        model_.begin(request_);
        FUZZ_CHECK(reading_->done() == !model_.waits());
        if (reading_->done()) take();
    }

    void arrive() {
        switch (input_.below(16)) {
            case 15:
                if (input_.below(4) != 3) break;
                connection_.reader.set_exception(std::make_exception_ptr(
                    std::system_error(ECONNRESET, std::generic_category(), "receive")));
                model_.fail();
                break;
            case 14:
                if (!model_.eof && input_.below(4) == 3) {
                    connection_.reader.feed_eof();
                    model_.feed_eof();
                }
                break;
            default:
                feed(input_.text(1 + input_.below(50)));
        }
    }
    void feed(std::string_view data) {
        try {
            connection_.reader.feed_data(data);
            FUZZ_CHECK(!model_.eof);
            model_.feed(data);
        } catch (const std::logic_error&) {
            FUZZ_CHECK(model_.eof);
        }
    }

    /// Let the read go on, or cancel it, also after it was woken.
    Coro<> finish() {
        const bool woken = !model_.waits();
        if (input_.below(3) == 0 || (!woken && input_.empty())) {
            reading_->cancel();
            co_await sleep(Duration::zero());
            FUZZ_CHECK(reading_->done());
            model_.cancel();
            FUZZ_CHECK(reading_->result() == kCancelled);
            reading_.reset();
            co_return;
        }
        co_await sleep(Duration::zero());
        FUZZ_CHECK(reading_->done() == woken);
        if (woken) take();
    }
    void take() {
        FUZZ_CHECK(reading_->result() == model_.result());
        reading_.reset();
    }

    void check() const {
        FUZZ_CHECK(connection_.core->buffer().view() == model_.buffer);
        FUZZ_CHECK(connection_.transport->reading == !model_.paused);
        FUZZ_CHECK(connection_.reader.at_eof() == (model_.eof && model_.buffer.empty()));
    }

    Input& input_;
    const std::size_t limit_;
    FakeConnection connection_;
    Model model_;
    Request request_;
    std::optional<Task<std::string>> reading_;
};

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(reader) {
    using asyncio::fuzz::Script;
    asyncio::fuzz::run([](asyncio::fuzz::Input& bytes) -> asyncio::Coro<> {
        Script script(bytes);
        co_await script.run();
    }(input));
}
