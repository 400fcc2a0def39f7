// SPDX-License-Identifier: MIT
//
// Pipes as transports: either end, on a system that takes and gives as the bytes say, whose far end
// goes when they say; protocols that throw, change and call back; a loop that closes under it. What
// the system took is the beginning of what was written, all of it after an end in order; a reader
// that goes is an error exactly if something was not sent; what the system gave reaches the
// protocol of that moment, in order; connection_made comes first, connection_lost once and last and
// never from within a call; pauses and resumes are paired; the descriptor is closed once.
//
// covers: net/socket_transport.cpp
#include <asyncio/base/log.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/task/as_outcome.hpp>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <poll.h>
#include <sys/uio.h>

#include "fuzz.hpp"
#include "scripted_transport_user.hpp"
#include "stand_in_kernel.hpp"
#include "stand_in_system.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;

/// One end of a pipe, and whoever is at the other.
class Pipe final : public StandInSystem {
  public:
    static constexpr int fd = os::kFirstSimulated;

    Pipe(Input& bytes, bool is_for_writing) : input(bytes), for_writing(is_for_writing) {}

    /// What it takes of them; or -EAGAIN, where that is allowed, or -EPIPE.
    std::ptrdiff_t take(const iovec* parts, size_t count, bool may_refuse) {
        FUZZ_CHECK(open && for_writing);
        std::string all;
        for (size_t i = 0; i < count; ++i)
            all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
        FUZZ_CHECK(!all.empty());
        if (far_end_gone) return refused = true, -EPIPE;
        size_t size = all.size();
        switch (input.below(8)) {
            case 1:
                if (may_refuse) return -EAGAIN;
                size = 1;
                break;
            case 2:
                size = 1 + input.number(2) % size;
                break;
            case 3:
                if (input.below(4) == 3) return far_end_gone = refused = true, -EPIPE;
                break;
            case 4:
                if (input.below(8) == 3) return failed = true, -EIO;
                break;
            default:
                break;
        }
        sent += all.substr(0, size);
        return static_cast<std::ptrdiff_t>(size);
    }
    std::ptrdiff_t send(int descriptor, const iovec* parts, size_t count) noexcept override {
        FUZZ_CHECK(descriptor == fd && !send_in_flight);  // it would overtake
        return take(parts, count, true);
    }
    int shutdown(int, os::Shutdown) noexcept override { std::abort(); }  // a pipe has none
    /// Of an os::Fd; a transport closes by its kernel.
    void close(int) noexcept override { std::abort(); }

    Input& input;
    const bool for_writing;
    std::string sent;      // that the system took
    std::string received;  // that it gave
    size_t pieces = 0;
    bool open = true;
    bool far_end_gone = false;
    bool told = false;     // of that: by the end of the stream, or by the watch of the reader
    bool watched = true;   // the system could watch for the reader
    bool refused = false;  // it gave EPIPE
    bool failed = false;   // it gave another error
    bool send_in_flight = false;
};

class PipeKernel final : public StandInKernel {
  public:
    explicit PipeKernel(Pipe& pipe) : pipe_(pipe), input_(pipe.input) {}

    bool submit(kernel::Operation& operation) noexcept override {
        FUZZ_CHECK(operation.idle() && operation.fd == Pipe::fd && pipe_.open);
        const bool sends = operation.opcode == kernel::Opcode::send;
        FUZZ_CHECK(sends || operation.opcode == (pipe_.for_writing ? kernel::Opcode::poll
                                                                   : kernel::Opcode::receive));
        if (sends && input_.below(4) == 1) {
            const auto taken = pipe_.take(operation.buffers, operation.count, false);
            operation.inline_result = static_cast<int>(taken);
            return false;
        }
        if (!sends && input_.below(16) == 1) {
            if (pipe_.for_writing)
                pipe_.watched = false;
            else
                pipe_.failed = true;
            operation.inline_result = -ENOMEM;
            return false;
        }
        begin(operation);
        pipe_.send_in_flight |= sends;
        return true;
    }
    void close(int fd) noexcept override {
        FUZZ_CHECK(fd == Pipe::fd && pipe_.open && operations_.empty());
        pipe_.open = false;
    }

    void wait(std::optional<Duration> timeout) override {
        if (operations_.empty()) return StandInKernel::wait(timeout);
        if (timeout && input_.below(3) == 1) return;  // nothing has happened yet
        std::vector<kernel::Operation*> able;
        for (kernel::Operation* operation : operations_)
            if (can_end(*operation)) able.push_back(operation);
        FUZZ_CHECK(timeout || !able.empty());  // for ever
        if (!able.empty()) complete(*able[input_.below(able.size())]);
    }

  private:
    bool can_end(const kernel::Operation& operation) const {
        return operation.opcode != kernel::Opcode::poll || operation.state == State::cancelling ||
               pipe_.far_end_gone;
    }
    void end(kernel::Operation& operation) noexcept override {
        StandInKernel::end(operation);
        if (operation.opcode == kernel::Opcode::send) pipe_.send_in_flight = false;
    }
    void complete(kernel::Operation& operation) {
        // A cancel may be slower than a result.
        if (operation.state == State::cancelling && input_.below(3) != 1)
            return finish(operation, -ECANCELED);
        if (operation.opcode == kernel::Opcode::send) {
            const auto taken = pipe_.take(operation.buffers, operation.count, false);
            finish(operation, static_cast<int>(taken));
        } else if (operation.opcode == kernel::Opcode::receive) {
            give(operation);
        } else if (pipe_.far_end_gone) {
            pipe_.told = true;
            finish(operation, POLLERR);
        } else {
            finish(operation, -ECANCELED);
        }
    }
    void give(kernel::Operation& operation) {
        const size_t kind = input_.below(8);
        // Without bytes to choose from the writer goes.
        if (kind == 0 || pipe_.far_end_gone) {
            pipe_.far_end_gone = pipe_.told = true;
            return finish(operation, 0);
        }
        if (kind == 1 && input_.below(4) == 1) return pipe_.failed = true, finish(operation, -EIO);
        const std::string data(1 + input_.below(40), static_cast<char>('a' + pipe_.pieces++ % 26));
        pipe_.received += data;
        deliver(operation, data);
    }

    Pipe& pipe_;
    Input& input_;
};

class Script final : private ScriptedTransportUser {
  public:
    explicit Script(Pipe& pipe) : ScriptedTransportUser(pipe.input), pipe_(pipe) {}

    Coro<> run() {
        const bool connected = co_await connect();
        if (!connected) co_return;
        while (!input_.empty() && !lost_) {
            act();
            check();
            co_await sleep(Duration::zero());
            turn_ended();
            check();
        }
        if (lost_) co_return;
        switch ((written_.size() + received_.size()) % 4) {
            case 3:
                leaves_it_open_ = true;
                if (pipe_.for_writing) write(7);
                co_return;
            case 2:
                let_the_far_end_go();
                break;
            default:
                closed_ = true;
                transport_->close();
        }
        co_await turn_until(lost_);
    }

    void check_end() const {
        FUZZ_CHECK(pipe_.open == refused_);
        FUZZ_CHECK(refused_ || (made_ && (lost_ || leaves_it_open_)));
        FUZZ_CHECK(written_.starts_with(pipe_.sent));
    }

  private:
    // --- what the protocol of the moment is told ------------------------------------------------

    void made() override { act_or_throw(true); }
    void data(std::string_view data, bool may_act) override {
        FUZZ_CHECK(!pipe_.for_writing && received_.ends_with(data));
        FUZZ_CHECK(pipe_.received.starts_with(received_));
        if (may_act) act_or_throw(true);
    }
    bool eof() override {
        FUZZ_CHECK(!pipe_.for_writing && pipe_.told && received_ == pipe_.received);
        const bool stays_open = input_.chance();  // nobody asks
        act_or_throw(true);
        return stays_open;
    }
    void lost(const std::exception_ptr& error) override {
        FUZZ_CHECK(!pipe_.open && transport_->get_write_buffer_size() == 0);
        check_reason(error);
        if (input_.chance()) act_too_late();
        if (input_.below(8) == 1) raise();
    }
    void flow() override {
        FUZZ_CHECK(pipe_.for_writing);
        act_or_throw(false);
    }

    /// False: its factory threw, and the descriptor is still ours.
    Coro<bool> connect() {
        const bool throws = input_.below(32) == 1;
        const auto make = [this, throws] {
            if (throws) throw Thrown();
            return player_ = make_player();
        };
        EventLoop& loop = get_running_loop();
        if (pipe_.for_writing) {
            const auto opened = co_await as_outcome(loop.connect_write_pipe(make, Pipe::fd));
            refused_ = !opened;
        } else {
            const auto opened = co_await as_outcome(loop.connect_read_pipe(make, Pipe::fd));
            refused_ = !opened;
        }
        FUZZ_CHECK(refused_ == throws && made_ != refused_);
        co_return !refused_;
    }

    /// Every other one is like one of the library's own.
    Ref<Player> make_player() override {
        return Ref<Player>(new Player(*this, players_++ % 2 == 0));
    }
    void check_reason(const std::exception_ptr& error) const {
        if (!error) {
            if (!aborted_) FUZZ_CHECK(pipe_.sent == written_);
            // Nobody ends it but the program and the far end.
            FUZZ_CHECK(aborted_ || closed_ || pipe_.told);
            return;
        }
        try {
            std::rethrow_exception(error);
        } catch (const Thrown&) {
            FUZZ_CHECK(fatal_);
        } catch (const std::system_error& e) {
            const int code = e.code().value();
            const bool reader_gone = code == EPIPE && (pipe_.refused || pipe_.told);
            FUZZ_CHECK(reader_gone || (pipe_.failed && (code == EIO || code == ENOMEM)));
            if (reader_gone) FUZZ_CHECK(pipe_.sent != written_);
        }
    }
    void act_or_throw(bool is_fatal) {
        if (input_.below(4) == 1) act();
        if (input_.below(16) != 1) return;
        fatal_ |= is_fatal;
        raise();
    }
    void act_too_late() {
        if (pipe_.for_writing) transport_->write("too late");
        transport_->abort();
        transport_->close();
        transport_->resume_reading();
        transport_->set_protocol(make_player());
        FUZZ_CHECK(transport_->get_protocol() == nullptr && !transport_->is_reading());
    }

    /// One call of the transport; it may call back.
    void act() override {
        ++calls_;
        call(input_.below(16));
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
                closed_ = true;
                return transport.write_eof();
            case 5:
                closed_ = true;
                return transport.close();
            case 6:
                if (input_.below(4) != 1) return;
                aborted_ = true;
                return transport.abort();
            case 7:
                will_pause();
                transport.pause_reading();
                return FUZZ_CHECK(!transport.is_reading());
            case 8:
                return resume_reading();
            case 9:
                return set_limits();
            case 10:
                return replace_player();
            case 11:
                if (input_.below(4) == 1) pipe_.far_end_gone = true;
                return;
            default:
                return;
        }
    }
    void resume_reading() {
        transport_->resume_reading();
        const bool reads = !pipe_.for_writing && !transport_->is_closing() && !eof_;
        FUZZ_CHECK(transport_->is_reading() == reads);
    }
    /// And it ends by itself.
    void let_the_far_end_go() {
        pipe_.far_end_gone = true;
        if (pipe_.watched) return transport_->resume_reading();
        closed_ = true;
        transport_->close();
    }

    template <class F>
    void refused(F&& write) {
        bool is_refused = false;
        try {
            write();
        } catch (const std::logic_error&) {
            is_refused = true;
        }
        FUZZ_CHECK(is_refused);
    }
    void write(size_t size) {
        if (!pipe_.for_writing) return refused([&] { transport_->write("x"); });
        ScriptedTransportUser::write(size);
    }
    void write_lines() {
        if (!pipe_.for_writing) return refused([&] { transport_->writelines({}); });
        ScriptedTransportUser::write_lines();
    }

    /// Between two calls.
    void check() const {
        FUZZ_CHECK(written_.starts_with(pipe_.sent));
        FUZZ_CHECK(pipe_.open == !lost_);
        if (lost_) return;
        FUZZ_CHECK(transport_->get_protocol() == player_.get());
        FUZZ_CHECK(!eof_ || transport_->is_closing());
        FUZZ_CHECK(!transport_->is_closing() || !transport_->is_reading());
        const size_t size = transport_->get_write_buffer_size();
        const auto limits = transport_->get_write_buffer_limits();
        const bool is_losing = pipe_.failed || pipe_.refused || pipe_.told || aborted_ || fatal_ ||
                               (transport_->is_closing() && size == 0);
        if (is_losing) return;
        FUZZ_CHECK(transport_->is_closing() == closed_);
        FUZZ_CHECK(size == written_.size() - pipe_.sent.size());
        FUZZ_CHECK(paused_ ? size > limits.low : size <= limits.high);
        if (!closed_) check_received(pipe_.received);
    }

    Pipe& pipe_;
    int players_ = 0;
    bool refused_ = false;
    bool closed_ = false;
    bool fatal_ = false;  // a callback threw that ends the connection
};

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(pipe_transport) {
    using namespace asyncio;
    using namespace asyncio::fuzz;
    const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
    Pipe pipe(input, input.chance());
    const StandInSystem::Turn turn(pipe);
    Script script(pipe);
    {
        EventLoop loop(std::make_unique<PipeKernel>(pipe));
        loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
        loop.run_until_complete(script.run());
        loop.close();
    }
    script.check_end();
    set_log_sink(before);
}
