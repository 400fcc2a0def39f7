// SPDX-License-Identifier: MIT
//
// What a read can ask for, and the awaiter they share.
//
// A request has three verbs: ready(core) - can it be completed now (with data, end of stream or an
// error)?; take(core) - the result, out of the buffer, or its exception; and for those that can use
// data before it enters the buffer, accept(core, fresh). put_back() undoes accept() when the reader
// is cancelled between its wake-up and its turn: no byte is lost. enough(): how many bytes complete
// it, if that is all there is to know; they are not asked then for every piece that comes.
#pragma once

#include <asyncio/stream/stream_core.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace asyncio::stream {

/// Base of requests that take everything from the buffer.
struct BufferedRequest {
    bool accept(StreamCore&, std::span<const std::byte>&) noexcept { return false; }
    void put_back(StreamCore&) noexcept {}
    std::size_t enough() const noexcept { return ReadWait::kAsk; }
};

/// read(n): up to n bytes as soon as there is one.
struct ReadSome {
    static constexpr const char* kName = "read";
    using Result = std::string;

    explicit ReadSome(std::size_t n) noexcept : wanted(n) {}
    std::size_t enough() const noexcept { return ReadWait::kAsk; }
    bool ready(const StreamCore& core) const;
    bool accept(StreamCore& core, std::span<const std::byte>& fresh);
    void put_back(StreamCore& core);
    std::string take(StreamCore& core);

    std::size_t wanted;
    std::string taken;
};

/// read(): everything up to the end of the stream.
struct ReadAll : BufferedRequest {
    static constexpr const char* kName = "read";
    using Result = std::string;

    bool ready(const StreamCore& core) const;
    std::string take(StreamCore& core);
};

/// read_into(span): as read(n), into the caller's memory.
struct ReadInto {
    static constexpr const char* kName = "read_into";
    using Result = std::size_t;

    explicit ReadInto(std::span<std::byte> memory) noexcept : target(memory) {}
    std::size_t enough() const noexcept { return ReadWait::kAsk; }
    bool ready(const StreamCore& core) const;
    bool accept(StreamCore& core, std::span<const std::byte>& fresh);
    void put_back(StreamCore& core);
    std::size_t take(StreamCore& core);

    std::span<std::byte> target;
    std::size_t taken = 0;
};

/// peek(): what is buffered, where it is; at least one byte, unless the stream is over.
struct Peek : BufferedRequest {
    static constexpr const char* kName = "peek";
    using Result = std::string_view;

    std::size_t enough() const noexcept { return 1; }
    bool ready(const StreamCore& core) const { return !core.buffer().empty() || core.over(); }
    std::string_view take(StreamCore& core) {
        core.throw_if_failed();
        return core.buffer().view();
    }
};

struct ReadExactly : BufferedRequest {
    static constexpr const char* kName = "readexactly";
    using Result = std::string;

    explicit ReadExactly(std::size_t n) noexcept : wanted(n) {}
    std::size_t enough() const noexcept { return wanted; }
    bool ready(const StreamCore& core) const;
    std::string take(StreamCore& core);

    std::size_t wanted;
};

/// readuntil(separators): up to the separator that ends first. Resumes its search where it stopped.
struct ReadUntil : BufferedRequest {
    static constexpr const char* kName = "readuntil";
    using Result = std::string;

    explicit ReadUntil(std::string_view separator);
    /// std::invalid_argument if there is no separator, or an empty one.
    explicit ReadUntil(std::vector<std::string> separators);
    bool ready(const StreamCore& core);
    std::string take(StreamCore& core);

    /// How the search stands after ready().
    enum class Verdict : std::uint8_t { searching, found, missing_over_limit, found_over_limit };
    Verdict verdict = Verdict::searching;
    std::size_t match_start = 0;
    std::size_t match_end = 0;  // missing_over_limit: what can be dropped safely, in match_start

  private:
    void search(std::string_view data, std::size_t limit);

    std::vector<std::string> separators_;
    std::size_t shortest_;
    std::size_t longest_;
    std::size_t scanned_ = 0;
};

/// readline(): through the newline; at the end of the stream what is left.
struct ReadLine : BufferedRequest {
    static constexpr const char* kName = "readline";
    using Result = std::string;

    bool ready(const StreamCore& core) { return until.ready(core); }
    std::string take(StreamCore& core);

    ReadUntil until{"\n"};
};

/// lines().next(): nullopt at the end of the stream.
struct NextLine : ReadLine {
    using Result = std::optional<std::string>;
    std::optional<std::string> take(StreamCore& core);
};

template <class Request>
class ReadAwaiter final : public ReadWait {
  public:
    ReadAwaiter(Ref<StreamCore> core, Request request) noexcept
        : ReadWait(request.enough()), core_(std::move(core)), request_(std::move(request)) {}
    ~ReadAwaiter() { core_->reader_gone(*this); }

    bool await_ready() {
        core_->require_no_reader(Request::kName);
        return request_.ready(*core_);
    }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) {
        core_->wait_for_data(*this, coro::driver_of(frame));
    }
    [[gnu::always_inline]] typename Request::Result await_resume() {
        if (driver_ != nullptr) {
            core_->reader_goes_on(*this);
            if (driver_->cancel_due()) [[unlikely]] {
                request_.put_back(*core_);
                driver_->throw_if_cancelled();
            }
        }
        if constexpr (std::is_same_v<Request, Peek>)  // takes nothing
            return request_.take(*core_);
        else
            return take();
    }

    bool satisfied(StreamCore& core, std::span<const std::byte>& fresh) override {
        return request_.accept(core, fresh) || request_.ready(core);
    }

  private:
    typename Request::Result take() {
        struct Resume {  // also when it throws
            ~Resume() { core.maybe_resume_transport(); }
            StreamCore& core;
        } resume_transport{*core_};
        return request_.take(*core_);
    }

    Ref<StreamCore> core_;
    Request request_;
};

}  // namespace asyncio::stream
