// SPDX-License-Identifier: MIT
//
// SocketTransport: writes of every size, ends, flow control, protocols that change, throw and call
// back, somebody who sends by other means and somebody who waits until there is room for records of
// his own, on a socket that takes and gives as the bytes say. What the system took is the beginning
// of what was written, all of it unless there is a reason; what it gave reaches the protocol of
// that moment; connection_made comes first, connection_lost once and last and never from within a
// call; pauses and resumes are paired; the descriptor is closed once.
//
// covers: net/socket_transport.hpp net/socket_writing.cpp stream/transport.cpp
#include <asyncio/base/log.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/stream/kernel_tls.hpp>
#include <asyncio/task/sleep.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "fuzz.hpp"
#include "scripted_socket.hpp"
#include "scripted_transport_user.hpp"

namespace asyncio::fuzz {
namespace {

using net::SocketTransport;
using std::size_t;

class Script final : private ScriptedTransportUser {
  public:
    Script(Input& input, ScriptedSocket& socket) : ScriptedTransportUser(input), socket_(socket) {}

    Coro<> run() {
        player_ = make_player();
        SocketTransport::open(get_running_loop(), os::Fd(ScriptedSocket::fd), player_);
        FUZZ_CHECK(made_);
        while (!input_.empty() && !lost_) {
            act();
            check();
            co_await sleep(Duration::zero());
            turn_ended();
            check();
        }
        direct_.reset();
        if (!room_settled_) co_await turn_until(room_settled_);
        leaves_it_open_ = !lost_ && input_.text(1).empty() && written_.size() % 4 == 3;
        if (leaves_it_open_) co_return;
        if (!lost_) transport_->close();
        co_await turn_until(lost_);
    }

    void check_end() const {
        FUZZ_CHECK(!socket_.open && made_ && (lost_ || leaves_it_open_));
        FUZZ_CHECK(written_.starts_with(socket_.sent));
    }

  private:
    // --- what the protocol of the moment is told ------------------------------------------------

    void made() override { act_in_callback(); }
    void data(std::string_view data, bool may_act) override {
        FUZZ_CHECK(socket_.received.starts_with(received_) && received_.ends_with(data));
        if (may_act) act_in_callback();
    }
    bool eof() override {
        FUZZ_CHECK(socket_.ended && received_ == socket_.received);
        const bool stays_open = input_.chance();
        act_in_callback();
        closed_beside_ |= !stays_open && direct_;
        return stays_open;
    }
    void lost(const std::exception_ptr& error) override {
        room_settled_ = true;
        if (error) FUZZ_CHECK(socket_.failed || thrown_);
        const bool in_order = !error && !aborted_;
        if (in_order) FUZZ_CHECK(socket_.sent == written_);
        if (in_order && eof_wanted_ && !closed_beside_) FUZZ_CHECK(socket_.shut);
        if (input_.chance()) transport_->write("too late"), transport_->abort();
        if (input_.below(8) == 1) raise();
    }
    void flow() override { act_in_callback(); }

    // --- what is asked of the transport ---------------------------------------------------------

    SocketTransport& socket_transport() const { return static_cast<SocketTransport&>(*transport_); }
    Ref<Player> make_player() override {
        return Ref<Player>(new Player(*this, input_.below(4) != 1));
    }
    bool takes_writes() const override {
        return !transport_->is_closing() && !eof_wanted_ && !direct_;
    }

    /// One call of the transport; it may call back.
    void act() override {
        ++calls_;
        try {
            call(input_.below(16));
        } catch (const std::logic_error&) {
            FUZZ_CHECK(eof_wanted_ || direct_);  // and what was to be written is not
        }
        --calls_;
    }
    void call(size_t kind) {
        Transport& transport = *transport_;
        switch (kind) {
            case 0:
            case 1:
                return write(input_.below(50));
            case 2:
                return write(input_.number(2) % 30'000);
            case 3:
                return write_lines();
            case 4:
                if (!transport.is_closing()) eof_wanted_ = true;
                return transport.write_eof();
            case 5:
                closed_beside_ |= direct_.has_value();
                return transport.close();
            case 6:
                if (input_.below(4) != 1) return;
                aborted_ = true;
                return transport.abort();
            case 7:
                will_pause();
                return transport.pause_reading();
            case 8:
                return transport.resume_reading();
            case 9:
                return set_limits();
            case 10:
                return replace_player();
            case 11:
                return send_by_other_means();
            case 12:
                if (direct_ && direct_->may_send() && !transport.is_closing())
                    direct_->ask_for_room();
                return;
            case 13:
                return direct_.reset();
            case 14:
                return want_room();
            default:
                return;
        }
    }
    void send_by_other_means() {
        const bool is_possible = !direct_ && !transport_->is_closing() && !eof_wanted_;
        will_pause();
        try {
            if (!direct_) direct_.emplace(socket_transport());
            FUZZ_CHECK(!is_possible || !transport_->is_reading());
        } catch (const std::logic_error&) {
            FUZZ_CHECK(!is_possible);
        }
    }
    void want_room() {
        room_settled_ = transport_->is_closing();
        transport_->kernel_tls()->when_room([this] { room(); });
    }
    /// From the loop, once.
    void room() {
        FUZZ_CHECK(calls_ == 0 && !std::exchange(room_settled_, true));
        FUZZ_CHECK(!lost_ && !direct_ && transport_->kernel_tls()->is_flushed());
        FUZZ_CHECK(socket_.sent == written_ && !transport_->is_closing());
        if (input_.below(4) == 1) act();
    }

    /// Between two calls.
    void check() const {
        FUZZ_CHECK(written_.starts_with(socket_.sent));
        FUZZ_CHECK(socket_.open == !lost_);
        if (lost_) return;
        FUZZ_CHECK(transport_->get_protocol() == player_.get());
        const size_t size = transport_->get_write_buffer_size();
        const auto limits = transport_->get_write_buffer_limits();
        const bool is_losing =
            socket_.failed || aborted_ || thrown_ || (transport_->is_closing() && size == 0);
        if (is_losing) return;
        FUZZ_CHECK(size == written_.size() - socket_.sent.size());
        FUZZ_CHECK(paused_ ? size > limits.low : size <= limits.high);
        if (!transport_->is_closing() && !eof_) check_received(socket_.received);
    }

    ScriptedSocket& socket_;
    bool eof_wanted_ = false;
    bool closed_beside_ = false;  // while somebody sent by other means
    bool room_settled_ = true;    // nobody waits for it
    std::optional<net::DirectSend> direct_;
};

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(transport) {
    using namespace asyncio;
    using namespace asyncio::fuzz;
    const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
    ScriptedSocket socket(input);
    const StandInSystem::Turn turn(socket);
    Script script(input, socket);
    {
        EventLoop loop(std::make_unique<ScriptedKernel>(socket));
        loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
        loop.run_until_complete(script.run());
        loop.close();
    }
    script.check_end();
    set_log_sink(before);
}
