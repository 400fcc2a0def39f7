// SPDX-License-Identifier: MIT
//
// One datagram socket whose system has no room, fails and gives as the bytes say, and the kernel
// below, which keeps the rules of kernel/kernel.hpp, one completion a wait(). Each datagram it
// gives begins with its number.
#pragma once

#include <asyncio/kernel/datagram.hpp>
#include <asyncio/os/socket_address.hpp>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "stand_in_kernel.hpp"
#include "stand_in_system.hpp"

namespace asyncio::fuzz {

struct DatagramSystem final : StandInSystem {
    static constexpr int fd = os::kFirstSimulated;
    static constexpr std::size_t kLargest = 40;  // that it gives, bytes

    explicit DatagramSystem(Input& bytes) : input(bytes) {}

    std::ptrdiff_t send_to(int descriptor, std::span<const std::byte> data,
                           const SocketAddress* to) noexcept override {
        FUZZ_CHECK(descriptor == fd && open && (to == nullptr) == connected);
        const std::size_t kind = input.below(8);
        if (kind == 1 || kind == 2) return -EAGAIN;
        if (kind == 3) return ++failures, -ECONNREFUSED;
        sent.emplace_back(reinterpret_cast<const char*>(data.data()), data.size());
        return static_cast<std::ptrdiff_t>(data.size());
    }

    Input& input;
    std::vector<std::string> sent;
    int given = 0;
    int failures = 0;
    bool fatal = false;
    bool open = true;
    bool connected = false;
};

class DatagramKernel final : public StandInKernel {
  public:
    explicit DatagramKernel(DatagramSystem& system) : system_(system) {}

    bool submit(kernel::Operation& operation) noexcept override {
        FUZZ_CHECK(operation.idle() && operation.fd == DatagramSystem::fd && system_.open);
        if (system_.input.below(32) == 1) {
            operation.inline_result = -ENOSPC;
            system_.failures++;
            system_.fatal |= operation.opcode == kernel::Opcode::receive_from;
            return false;
        }
        begin(operation);
        return true;
    }
    void close(int fd) noexcept override {
        FUZZ_CHECK(fd == DatagramSystem::fd && system_.open && operations_.empty());
        system_.open = false;
    }

    void wait(std::optional<Duration> timeout) override {
        if (operations_.empty()) return StandInKernel::wait(timeout);
        if (timeout && system_.input.below(3) == 1) return;
        kernel::Operation& operation = *operations_[system_.input.below(operations_.size())];
        const bool receives = operation.opcode == kernel::Opcode::receive_from;
        if (operation.state == State::cancelling && system_.input.below(3) != 1)
            return finish(operation, -ECANCELED);
        if (!receives) return finish(operation, 4);
        const std::size_t kind = system_.input.below(8);
        if (kind == 1) return system_.failures++, finish(operation, -ECONNREFUSED);
        if (kind == 2 && system_.input.below(4) == 1) {
            system_.fatal = true;
            return finish(operation, -ENOTSOCK);
        }
        give(operation);
    }

  private:
    void give(kernel::Operation& operation) {
        const std::string data =
            std::to_string(system_.given++) + std::string(system_.input.below(30), '.');
        kernel::Datagram datagram;
        datagram.result = static_cast<int>(data.size());
        datagram.more = true;
        datagram.data = std::as_bytes(std::span(data));
        datagram.truncated = system_.input.below(8) == 1;
        if (datagram.truncated) system_.failures++;
        const SocketAddress from = *SocketAddress::parse("10.0.0.9", 9);
        datagram.address = from.raw();
        datagram.address_size = static_cast<std::uint32_t>(from.size());
        operation.callback(operation, datagram);
    }

    DatagramSystem& system_;
};

}  // namespace asyncio::fuzz
