// SPDX-License-Identifier: MIT
//
// What the tests of streams share: a transport that moves nothing and writes down what it is told.
#pragma once

#include <asyncio/stream/error.hpp>
#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/writer.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio::stream_tests {

using namespace std::chrono_literals;

inline std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

/// Buffers what is written until flush(); counts the flow control of the reading side.
class FakeTransport final : public stream::Transport {
  public:
    explicit FakeTransport(Ref<stream::StreamCore> core) : core_(std::move(core)) {
        core_->connection_made(*this);
    }

    void write(std::span<const std::byte> data) override {
        if (is_closing()) {
            dropped += data.size();
            return;
        }
        buffer.append(reinterpret_cast<const char*>(data.data()), data.size());
        update_flow();
    }
    void write_eof() override { eof_written = true; }
    void close() override {
        ++closes;
        begin_closing();
    }
    void abort() override {
        ++aborts;
        begin_closing();
    }
    void pause_reading() override { reading = false, ++pauses; }
    void resume_reading() override { reading = true, ++resumes; }
    std::size_t get_write_buffer_size() const noexcept override { return buffer.size(); }
    stream::WriteBufferLimits get_write_buffer_limits() const noexcept override {
        return {.low = low, .high = high};
    }
    bool is_reading() const noexcept override { return reading; }
    void set_protocol(Ref<stream::Protocol>) override {}
    stream::Protocol* get_protocol() const noexcept override { return core_.get(); }
    EventLoop& loop() const noexcept override { return get_running_loop(); }
    // Addresses are not of this room: places that stand for them.
    const SocketAddress& peername() const override {
        return reinterpret_cast<const SocketAddress&>(peer);
    }
    const SocketAddress& sockname() const override {
        return reinterpret_cast<const SocketAddress&>(local);
    }
    int fileno() const noexcept override { return -1; }
    void destroy() noexcept override { delete this; }

    /// The system took `count` bytes.
    void flush(std::size_t count) {
        sent += buffer.substr(0, count);
        buffer.erase(0, count);
        update_flow();
    }
    void flush() { flush(buffer.size()); }
    /// Breaks the circle of references as a real transport does.
    void lose(std::exception_ptr error = nullptr) {
        begin_closing();
        const Ref<stream::StreamCore> core = std::move(core_);
        core->connection_lost(std::move(error));
    }

    std::string buffer;
    std::string sent;
    alignas(16) char peer[1] = {};
    alignas(16) char local[1] = {};
    std::size_t high = 100;
    std::size_t low = 25;
    std::size_t dropped = 0;
    int pauses = 0;
    int resumes = 0;
    int closes = 0;
    int aborts = 0;
    bool reading = true;
    bool eof_written = false;

  private:
    void apply_write_buffer_limits(stream::WriteBufferLimits limits) override {
        high = limits.high;
        low = limits.low;
        update_flow();
    }
    void update_flow() {
        if (!paused_ && buffer.size() > high) {
            paused_ = true;
            core_->pause_writing();
        } else if (paused_ && buffer.size() <= low) {
            paused_ = false;
            core_->resume_writing();
        }
    }

    Ref<stream::StreamCore> core_;
    bool paused_ = false;
};

/// A connection whose other end is the test.
struct FakeConnection {
    explicit FakeConnection(std::size_t limit = stream::StreamCore::kDefaultLimit)
        : core(new stream::StreamCore(limit)), transport(new FakeTransport(core)) {}
    ~FakeConnection() {
        if (!core->lost()) transport->lose();
    }

    Ref<stream::StreamCore> core;
    Ref<FakeTransport> transport;
    StreamReader reader{core};
};

/// The exception of type E in an outcome, copied; fails the test if there is another or none.
template <class E, class T>
E error_in(const Outcome<T>& outcome, E otherwise) {
    try {
        if (!outcome) std::rethrow_exception(outcome.error());
        ADD_FAILURE() << "no exception";
    } catch (const E& error) {
        return error;
    } catch (...) {
        ADD_FAILURE() << describe(std::current_exception());
    }
    return otherwise;
}

template <class T>
std::string error_of(const Outcome<T>& outcome) {
    return outcome ? "none" : describe(outcome.error());
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr double kScale = 0.1;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr double kScale = 0.1;
#else
inline constexpr double kScale = 1.0;
#endif
#else
inline constexpr double kScale = 1.0;
#endif

/// ASYNCIO_TEST_SCALE=0.1 (as under sanitizers) makes the long tests ten times shorter, but no
/// shorter than `least`.
inline int scaled(int rounds, int least) {
    const char* text = std::getenv("ASYNCIO_TEST_SCALE");
    const double scale = text != nullptr ? std::atof(text) : kScale;
    return std::max(least, static_cast<int>(rounds * scale));
}

}  // namespace asyncio::stream_tests
