// SPDX-License-Identifier: MIT
//
// Two sockets joined by a wire that carries what the bytes say, as late and in such pieces as they
// say; with room for little; which may be cut (an end where none was written), reset or go silent.
// A socket closed with data unread resets the other end. WireKernel keeps the rules of
// kernel/kernel.hpp, one completion a wait(); its time jumps to the next timer when nothing can
// happen any more, or when the bytes say that everything takes too long. Nothing to happen and no
// timer: the program waits for ever, which ends it.
#pragma once

#include <asyncio/kernel/kernel.hpp>
#include <asyncio/os/socket.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <string>
#include <vector>

#include <sys/uio.h>

#include "fuzz.hpp"
#include "stand_in_kernel.hpp"
#include "stand_in_system.hpp"

namespace asyncio::fuzz {

class Wire final : public StandInSystem {
  public:
    static constexpr std::size_t kRoom = 20'000;  // bytes on their way, in each direction

    struct End {
        std::string incoming;
        std::size_t given = 0;  // bytes that the program has received
        bool open = true;
        bool shut = false;        // for writing
        bool peer_ended = false;  // behind `incoming` comes the end
        bool told_end = false;    // or that error; the program may have paused, and hear it later
        bool reset = false;       // behind `incoming` comes an error
        bool deaf = false;        // what is sent to it is lost
        bool send_in_flight = false;
    };

    explicit Wire(Input& input) : input_(input) {}

    static int fd_of(std::size_t end) { return os::kFirstSimulated + static_cast<int>(end); }
    End& end_of(int fd) {
        FUZZ_CHECK(fd == fd_of(0) || fd == fd_of(1));
        return ends[static_cast<std::size_t>(fd - os::kFirstSimulated)];
    }
    End& other(const End& end) { return &end == ends.data() ? ends[1] : ends[0]; }
    Input& input() { return input_; }

    /// What comes to `end` stops here.
    void cut(End& end) {
        disturbed = end.peer_ended = end.deaf = true;
        end.incoming.resize(end.incoming.size() - input_.number(1) % (end.incoming.size() + 1));
    }
    void reset() {
        disturbed = true;
        for (End& end : ends) reset(end);
    }
    /// Nothing moves any more.
    void fall_silent() { disturbed = silent = true; }

    bool may_send(End& from) {
        return from.reset || !other(from).open || other(from).incoming.size() < kRoom;
    }
    /// So many of them, or -EAGAIN, or another error.
    std::ptrdiff_t take(End& from, const iovec* parts, std::size_t count) {
        FUZZ_CHECK(from.open && !from.shut);
        std::string all;
        for (std::size_t i = 0; i < count; ++i)
            all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
        FUZZ_CHECK(!all.empty());
        End& to = other(from);
        if (from.reset || !to.open) return -ECONNRESET;
        std::size_t size = std::min(all.size(), kRoom - std::min(kRoom, to.incoming.size()));
        const std::size_t kind = input_.below(8);
        if (size == 0 || kind == 1) return -EAGAIN;
        if (kind == 2) size = 1 + input_.number(2) % size;
        if (!to.deaf) to.incoming += all.substr(0, size);
        return static_cast<std::ptrdiff_t>(size);
    }
    std::ptrdiff_t send(int fd, const iovec* parts, std::size_t count) noexcept override {
        FUZZ_CHECK(!end_of(fd).send_in_flight);  // it would overtake
        if (silent) return -EAGAIN;
        return take(end_of(fd), parts, count);
    }
    int shutdown(int fd, os::Shutdown how) noexcept override {
        End& end = end_of(fd);
        FUZZ_CHECK(end.open && !end.shut && !end.send_in_flight && how == os::Shutdown::write);
        end.shut = true;
        other(end).peer_ended |= !other(end).deaf;
        return 0;
    }
    void close_end(int fd) {
        End& end = end_of(fd);
        FUZZ_CHECK(std::exchange(end.open, false));
        if (!end.incoming.empty() || end.reset)
            reset(other(end));
        else
            other(end).peer_ended = true;
    }

    std::array<End, 2> ends;
    bool disturbed = false;
    bool silent = false;
    bool late = false;  // something took longer than a time limit

  private:
    void reset(End& end) {
        end.reset = true;
        if (input_.chance()) end.incoming.clear();
    }

    Input& input_;
};

class WireKernel final : public StandInKernel {
  public:
    explicit WireKernel(Wire& wire) : wire_(wire) {}

    bool submit(kernel::Operation& operation) noexcept override {
        FUZZ_CHECK(operation.idle() && wire_.end_of(operation.fd).open);
        if (is_send(operation)) wire_.end_of(operation.fd).send_in_flight = true;
        operation.slot = 0;
        begin(operation);
        return true;
    }
    void close(int fd) noexcept override {
        for (const kernel::Operation* operation : operations_) FUZZ_CHECK(operation->fd != fd);
        wire_.close_end(fd);
    }

    /// Of the operation that receives there: idle if there is none.
    kernel::Operation::State receiving(int fd) const {
        for (const kernel::Operation* operation : operations_)
            if (operation->fd == fd && !is_send(*operation)) return operation->state;
        return State::idle;
    }

    void wait(std::optional<Duration> timeout) override {
        std::vector<kernel::Operation*> able;
        std::ranges::copy_if(operations_, std::back_inserter(able),
                             [&](const kernel::Operation* one) { return can_complete(*one); });
        const bool sleeps = !timeout || *timeout > Duration::zero();
        const bool is_late = !able.empty() && timeout && wire_.input().below(16) == 1;
        if (able.empty() || is_late) {
            wire_.late |= is_late && sleeps;
            return StandInKernel::wait(timeout);
        }
        if (!sleeps && wire_.input().below(3) == 1) return;  // nothing has happened yet
        kernel::Operation& one = *able[(wire_.input().below(able.size()) + turn_++) % able.size()];
        // One result may be faster than a cancel.
        if (one.state == State::cancelling && (one.slot++ > 0 || wire_.input().below(3) != 1))
            return finish(one, -ECANCELED);
        if (is_send(one))
            complete_send(one);
        else
            complete_receive(one);
    }

  private:
    static bool is_send(const kernel::Operation& operation) {
        return operation.opcode == kernel::Opcode::send;
    }
    void end(kernel::Operation& operation) noexcept override {
        StandInKernel::end(operation);
        if (is_send(operation)) wire_.end_of(operation.fd).send_in_flight = false;
    }
    bool can_complete(const kernel::Operation& operation) {
        if (operation.state == State::cancelling) return true;
        if (wire_.silent) return false;
        Wire::End& end = wire_.end_of(operation.fd);
        if (is_send(operation)) return wire_.may_send(end);
        return !end.incoming.empty() || end.peer_ended || end.reset;
    }

    void complete_send(kernel::Operation& operation) {
        Wire::End& end = wire_.end_of(operation.fd);
        if (wire_.silent) return finish(operation, -ECANCELED);
        const auto result = wire_.take(end, operation.buffers, operation.count);
        if (result != -EAGAIN)
            finish(operation, static_cast<int>(result));
        else if (operation.state == State::cancelling)
            finish(operation, -ECANCELED);
    }
    void complete_receive(kernel::Operation& operation) {
        Wire::End& end = wire_.end_of(operation.fd);
        if (!end.incoming.empty() && !wire_.silent) return give(operation, end);
        if ((!end.reset && !end.peer_ended) || wire_.silent) return finish(operation, -ECANCELED);
        end.told_end = true;
        finish(operation, end.reset ? -ECONNRESET : 0);
    }
    void give(kernel::Operation& operation, Wire::End& end) {
        std::size_t size = end.incoming.size();
        const std::size_t kind = wire_.input().below(8);
        if (kind == 1) size = 1;
        if (kind == 2 || kind == 3) size = 1 + wire_.input().number(2) % size;
        const std::string data = end.incoming.substr(0, size);
        end.incoming.erase(0, size);
        end.given += size;
        deliver(operation, data);
    }

    Wire& wire_;
    std::size_t turn_ = 0;
};

}  // namespace asyncio::fuzz
