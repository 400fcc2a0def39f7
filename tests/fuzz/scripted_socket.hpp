// SPDX-License-Identifier: MIT
//
// One connected socket whose system does what the bytes say: takes a part of what is sent, at once
// or later; gives bytes, an end or an error; answers a cancel with a result that was faster. The
// kernel below keeps the rules of kernel/kernel.hpp, one completion a wait(). What the library must
// not do to it is checked here.
#pragma once

#include <asyncio/kernel/kernel.hpp>
#include <asyncio/os/socket.hpp>

#include <cerrno>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/uio.h>

#include "fuzz.hpp"
#include "stand_in_kernel.hpp"
#include "stand_in_system.hpp"

namespace asyncio::fuzz {

class ScriptedSocket final : public StandInSystem {
  public:
    static constexpr int fd = os::kFirstSimulated;

    explicit ScriptedSocket(Input& input) : input_(input) {}

    Input& input() { return input_; }

    std::string sent;      // that the system took
    std::string received;  // that it gave
    bool open = true;
    bool shut = false;    // for writing
    bool ended = false;   // it gave the peer's end
    bool failed = false;  // it gave an error
    bool send_in_flight = false;

    /// So many of them; or -EAGAIN, where that is allowed, or another error.
    std::ptrdiff_t take(const iovec* parts, std::size_t count, bool may_refuse) {
        FUZZ_CHECK(open && !shut);
        std::string all;
        for (std::size_t i = 0; i < count; ++i)
            all.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
        FUZZ_CHECK(!all.empty());
        std::size_t size = all.size();
        switch (input_.below(8)) {
            case 1:
                if (may_refuse) return -EAGAIN;
                size = 1;
                break;
            case 2:
                size = 1 + input_.number(2) % size;
                break;
            case 3:
                if (input_.below(4) == 3) return failed = true, -ECONNRESET;
                break;
            default:
                break;
        }
        sent += all.substr(0, size);
        return static_cast<std::ptrdiff_t>(size);
    }

    std::ptrdiff_t send(int descriptor, const iovec* parts, std::size_t count) noexcept override {
        FUZZ_CHECK(descriptor == fd);
        FUZZ_CHECK(!send_in_flight);  // it would overtake
        return take(parts, count, true);
    }
    int shutdown(int descriptor, os::Shutdown how) noexcept override {
        FUZZ_CHECK(descriptor == fd && how == os::Shutdown::write);
        FUZZ_CHECK(open && !shut && !send_in_flight);
        shut = true;
        return 0;
    }

  private:
    Input& input_;
};

class ScriptedKernel final : public StandInKernel {
  public:
    explicit ScriptedKernel(ScriptedSocket& socket) : socket_(socket) {}

    bool submit(kernel::Operation& operation) noexcept override {
        FUZZ_CHECK(operation.idle() && operation.fd == ScriptedSocket::fd && socket_.open);
        const bool sends = operation.opcode == kernel::Opcode::send;
        if (sends && socket_.input().below(4) == 1) {
            operation.inline_result =
                static_cast<int>(socket_.take(operation.buffers, operation.count, false));
            return false;
        }
        if (!sends && socket_.input().below(32) == 1) {
            socket_.failed = true;
            operation.inline_result = -ENOMEM;
            return false;
        }
        begin(operation);
        socket_.send_in_flight |= sends;
        return true;
    }
    void close(int fd) noexcept override {
        FUZZ_CHECK(fd == ScriptedSocket::fd && socket_.open && operations_.empty());
        socket_.open = false;
    }

    void wait(std::optional<Duration> timeout) override {
        if (operations_.empty()) return StandInKernel::wait(timeout);
        if (timeout && socket_.input().below(3) == 1) return;  // nothing has happened yet
        kernel::Operation& operation = *operations_[socket_.input().below(operations_.size())];
        if (operation.opcode == kernel::Opcode::send)
            complete_send(operation);
        else if (operation.opcode == kernel::Opcode::poll)  // for room
            finish(operation, is_cancelled(operation) ? -ECANCELED : POLLOUT);
        else
            complete_receive(operation);
    }

  private:
    void end(kernel::Operation& operation) noexcept override {
        StandInKernel::end(operation);
        if (operation.opcode == kernel::Opcode::send) socket_.send_in_flight = false;
    }
    /// Whether a cancel was faster than a result.
    bool is_cancelled(const kernel::Operation& operation) {
        return operation.state == State::cancelling && socket_.input().below(3) != 1;
    }

    void complete_send(kernel::Operation& operation) {
        if (is_cancelled(operation)) return finish(operation, -ECANCELED);
        const auto result = socket_.take(operation.buffers, operation.count, false);
        finish(operation, static_cast<int>(result));
    }

    void complete_receive(kernel::Operation& operation) {
        if (is_cancelled(operation)) return finish(operation, -ECANCELED);
        const std::size_t kind = socket_.input().below(8);
        // Without bytes to choose from the peer goes.
        if (kind == 0 || socket_.ended) return socket_.ended = true, finish(operation, 0);
        if (kind == 1 && socket_.input().below(4) == 1)
            return socket_.failed = true, finish(operation, -ECONNRESET);
        const std::string data(1 + socket_.input().below(40),
                               static_cast<char>('a' + received_++ % 26));
        socket_.received += data;
        deliver(operation, data);
    }

    ScriptedSocket& socket_;
    std::size_t received_ = 0;
};

}  // namespace asyncio::fuzz
