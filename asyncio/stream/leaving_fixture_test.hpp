// SPDX-License-Identifier: MIT
//
// Leaving: a protocol that puts another in its place from within one of its callbacks, which is the
// last reference to it; it writes down whether it was destroyed before that returned.
#pragma once

#include <asyncio/stream/protocol.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace asyncio::stream_tests {

class Leaving final : public Protocol {
  public:
    Leaving(std::string when, Ref<stream::Protocol> next, std::string& log)
        : when_(std::move(when)), next_(std::move(next)), log_(log) {}
    ~Leaving() override { log_ += inside_ ? "destroyed inside" : "destroyed"; }
    void connection_made(Transport& transport) override {
        transport_ = &transport;
        transport.set_write_buffer_limits(1000, 0);
        call("made");
    }
    void data_received(std::span<const std::byte>) override { call("data"); }
    bool eof_received() override {
        call("eof");
        return false;
    }
    void pause_writing() override { call("pause"); }
    void resume_writing() override { call("resume"); }

  private:
    void call(std::string_view what) {
        if (what != when_) return;
        inside_ = true;
        transport_->set_protocol(next_);
        log_ += "left ";
        inside_ = false;
    }

    std::string when_;
    Ref<stream::Protocol> next_;
    std::string& log_;
    Transport* transport_ = nullptr;
    bool inside_ = false;
};

}  // namespace asyncio::stream_tests
