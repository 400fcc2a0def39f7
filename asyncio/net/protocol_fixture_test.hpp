// SPDX-License-Identifier: MIT
//
// What the tests of protocols share: one that writes down what it is told, and its connection.
#pragma once

#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/create_server.hpp>
#include <asyncio/net/net_fixture_test.hpp>

#include <memory>
#include <string>

namespace asyncio::net_tests {

/// What a protocol was told, kept beyond its life. Letters: m made, d data, e end, l lost, p pause,
/// r resume.
struct Told {
    std::string events;
    std::string data;
    std::string error;
    int protocols = 0;
    bool lost() const { return events.ends_with('l'); }
};

class Recorder : public Protocol {
  public:
    explicit Recorder(Told& told) : told_(told) { ++told_.protocols; }
    ~Recorder() override { --told_.protocols; }
    void connection_made(Transport& transport) override {
        told_.events += 'm';
        transport_ = &transport;
    }
    void data_received(std::span<const std::byte> data) override {
        if (!told_.events.ends_with('d')) told_.events += 'd';
        told_.data += as_text(data);
    }
    bool eof_received() override {
        told_.events += 'e';
        return stay_open;
    }
    void connection_lost(std::exception_ptr error) override {
        told_.events += 'l';
        if (error) told_.error = describe(error);
    }
    void pause_writing() override { told_.events += 'p'; }
    void resume_writing() override { told_.events += 'r'; }

    bool stay_open = false;

  protected:
    Told& told_;
    Transport* transport_ = nullptr;
};

/// A protocol of ours against a raw socket.
template <class P = Recorder>
struct Link {
    Ref<Transport> transport;
    Ref<P> protocol;
    Fd raw;
};

template <class P = Recorder>
Coro<Link<P>> link(Told& told) {
    auto sockets = tcp_pair();
    auto factory = [&told] { return std::make_unique<P>(told); };
    auto both =
        co_await get_running_loop().connect_accepted_socket(factory, sockets.first.release());
    Link<P> made;
    made.transport = std::move(both.first);
    made.protocol = std::move(both.second);
    made.raw = std::move(sockets.second);
    co_return made;
}

inline Coro<> expect_lost(Told& told) {
    auto lost = [&] { return told.lost(); };
    const bool done = co_await until(lost);
    EXPECT_TRUE(done) << told.events;
}

inline Coro<> expect_data(Told& told, std::string data) {
    auto there = [&] { return told.data == data; };
    const bool done = co_await until(there);
    EXPECT_TRUE(done) << told.data;
}

}  // namespace asyncio::net_tests
