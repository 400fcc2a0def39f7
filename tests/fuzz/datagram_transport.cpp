// SPDX-License-Identifier: MIT
//
// DatagramTransport: sends, ends, flow control and a protocol that calls back and throws, on a
// socket that has no room, fails and gives as the bytes say. Datagrams leave in their order, whole,
// each once, unless an error was told; what comes reaches the protocol while the transport is open;
// connection_lost comes once and last; pauses and resumes are paired, and nobody stays paused.
//
// covers: net/datagram_transport.hpp net/datagram_transport.cpp
#include <asyncio/base/log.hpp>
#include <asyncio/net/datagram_transport.hpp>
#include <asyncio/task/sleep.hpp>

#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "fuzz.hpp"
#include "scripted_datagrams.hpp"
#include "scripted_user.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;

class Script final : public DatagramProtocol, private ScriptedUser {
  public:
    explicit Script(DatagramSystem& system) : ScriptedUser(system.input), system_(system) {}

    Coro<> run() {
        const SocketAddress remote = *SocketAddress::parse("10.0.0.1", 1);
        const size_t kind = input_.below(3);
        system_.connected = kind == 2;
        has_remote_ = kind != 0;
        DatagramTransport::open(get_running_loop(), os::Fd(DatagramSystem::fd),
                                Ref<DatagramProtocol>(this), has_remote_ ? remote : SocketAddress(),
                                system_.connected);
        FUZZ_CHECK(transport_ != nullptr);
        while (!input_.empty() && !lost_) {
            act();
            check();
            co_await sleep(Duration::zero());
            check();
        }
        leaves_it_open_ = !lost_ && written_.size() % 4 == 3;
        if (leaves_it_open_) co_return;
        if (!lost_) transport_->close();
        co_await turn_until(lost_);
    }

    /// All in their order, none twice; none is missing without a reason.
    void check_end() const {
        FUZZ_CHECK(!system_.open && (lost_ || leaves_it_open_));
        size_t next = 0;
        for (const std::string& data : system_.sent) {
            while (next < written_.size() && written_[next] != data) ++next;
            FUZZ_CHECK(next < written_.size());
            ++next;
        }
        if (in_order_ && system_.failures == 0) FUZZ_CHECK(system_.sent == written_);
    }

    void connection_made(DatagramTransport& transport) override {
        FUZZ_CHECK(transport_ == nullptr);
        transport_ = &transport;
        act_in_callback();
    }
    void datagram_received(std::span<const std::byte> data, const SocketAddress& from) override {
        FUZZ_CHECK(!lost_ && !transport_->is_closing());
        FUZZ_CHECK(data.size() < DatagramSystem::kLargest && from.port() == 9);
        act_in_callback();
    }
    void error_received(std::exception_ptr error) override {
        FUZZ_CHECK(!lost_ && error && ++errors_told_ <= system_.failures);
        act_in_callback();
    }
    void connection_lost(std::exception_ptr error) override {
        FUZZ_CHECK(!lost_ && calls_ == 0 && transport_->is_closing());
        lost_ = true;
        FUZZ_CHECK(transport_->fileno() == -1 && transport_->get_write_buffer_size() == 0);
        if (error) FUZZ_CHECK(system_.fatal || thrown_);
        in_order_ = !error && !aborted_;
        if (input_.chance()) transport_->abort();
        if (input_.below(8) == 1) raise();
    }
    void pause_writing() override { flow(true); }
    void resume_writing() override { flow(false); }

  private:
    void flow(bool paused) {
        FUZZ_CHECK(!lost_ && paused_ != paused);
        paused_ = paused;
        const auto limits = transport_->get_write_buffer_limits();
        const size_t size = transport_->get_write_buffer_size();
        FUZZ_CHECK(paused ? size > limits.high : size <= limits.low);
        act_in_callback();
    }

    void act() override {
        ++calls_;
        switch (input_.below(12)) {
            case 0:
            case 1:
            case 2:
            case 3:
                send();
                break;
            case 4:
                transport_->close();
                break;
            case 5:
                if (input_.below(4) != 1) break;
                aborted_ = true;
                transport_->abort();
                break;
            case 6:
                transport_->pause_reading();
                break;
            case 7:
                transport_->resume_reading();
                break;
            case 8: {
                const size_t high = input_.number(1) * 4;
                transport_->set_write_buffer_limits(high, high / (1 + input_.below(5)));
                break;
            }
            case 9:
                change_multicast();
                break;
            default:
                break;
        }
        --calls_;
    }

    /// The system knows none of it: each says so.
    void change_multicast() {
        const size_t kind = input_.below(8);
        try {
            if (kind == 0) transport_->join_group("239.0.0.1");
            if (kind == 1) transport_->leave_group("239.0.0.1");
            if (kind == 2) transport_->join_group("no address");
            if (kind == 3) transport_->join_group("239.0.0.1", "no-interface");
            if (kind == 4) transport_->set_multicast_ttl(3);
            if (kind == 5) transport_->set_multicast_loop(false);
            if (kind == 6) transport_->set_multicast_interface("");
            FUZZ_CHECK(kind == 7);
        } catch (const std::system_error&) {
            FUZZ_CHECK(kind != 2);
        } catch (const std::invalid_argument&) {
            FUZZ_CHECK(kind == 2);
        }
    }

    void send() {
        const SocketAddress remote = *SocketAddress::parse("10.0.0.1", 1);
        const SocketAddress other = *SocketAddress::parse("10.0.0.2", 2);
        const size_t where = input_.below(3);
        const bool fits = where == 0 ? has_remote_ : !has_remote_ || where == 1;
        const std::string data =
            std::to_string(written_.size()) + std::string(input_.below(100), '.');
        if (fits && !transport_->is_closing()) written_.push_back(data);
        try {
            if (where == 0)
                transport_->sendto(data);
            else
                transport_->sendto(data, where == 1 ? remote : other);
            FUZZ_CHECK(fits);
        } catch (const std::invalid_argument&) {
            FUZZ_CHECK(!fits);
        }
    }

    void check() const {
        if (lost_) return;
        FUZZ_CHECK(!system_.fatal || transport_->is_closing());
        const size_t size = transport_->get_write_buffer_size();
        const auto limits = transport_->get_write_buffer_limits();
        if (aborted_ || thrown_ || system_.fatal || (transport_->is_closing() && size == 0)) return;
        FUZZ_CHECK(paused_ ? size > limits.low : size <= limits.high);
        // What is received while closing is not.
        FUZZ_CHECK(transport_->is_closing() || errors_told_ == system_.failures);
    }

    DatagramSystem& system_;
    DatagramTransport* transport_ = nullptr;
    std::vector<std::string> written_;
    int errors_told_ = 0;
    int calls_ = 0;
    bool has_remote_ = false;
    bool paused_ = false;
    bool aborted_ = false;
    bool lost_ = false;
    bool in_order_ = false;
    bool leaves_it_open_ = false;
};

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(datagram_transport) {
    using namespace asyncio;
    using namespace asyncio::fuzz;
    const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
    DatagramSystem system(input);
    const StandInSystem::Turn turn(system);
    const Ref<Script> script(new Script(system));
    {
        EventLoop loop(std::make_unique<DatagramKernel>(system));
        loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
        loop.run_until_complete(script->run());
        loop.close();
    }
    script->check_end();
    set_log_sink(before);
}
