// SPDX-License-Identifier: MIT
//
// A system that can do nothing: what a target wants to see of it, it overrides.
#pragma once

#include <asyncio/base/unique_function.hpp>
#include <asyncio/os/simulated.hpp>

#include <cerrno>
#include <utility>

#include "fuzz.hpp"

namespace asyncio::fuzz {

class StandInSystem : public os::SimulatedSystem {
  public:
    /// The calls of this thread are its, as long as this lives.
    class Turn {
      public:
        explicit Turn(StandInSystem& system)
            : before_(std::exchange(os::simulated_system, &system)) {}
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;
        ~Turn() { os::simulated_system = before_; }

      private:
        os::SimulatedSystem* before_;
    };

    int open_socket(int, int) noexcept override { return -ENOSYS; }
    void close(int) noexcept override {}
    int bind(int, const SocketAddress&) noexcept override { return -ENOSYS; }
    int listen(int, int) noexcept override { return -ENOSYS; }
    int connect(int, const SocketAddress&) noexcept override { return -ENOSYS; }
    int accept(int) noexcept override { return -ENOSYS; }
    int shutdown(int, os::Shutdown) noexcept override { return -ENOSYS; }
    int local_address(int, SocketAddress&) noexcept override { return -ENOSYS; }
    int peer_address(int, SocketAddress&) noexcept override { return -ENOSYS; }
    int set_option(int, int, int, int) noexcept override { return -ENOSYS; }
    int get_option(int, int, int, int&) noexcept override { return -ENOSYS; }
    std::ptrdiff_t send(int, const iovec*, std::size_t) noexcept override { return -ENOSYS; }
    std::ptrdiff_t receive(int, std::span<std::byte>) noexcept override { return -ENOSYS; }
    std::ptrdiff_t send_to(int, std::span<const std::byte>,
                           const SocketAddress*) noexcept override {
        return -ENOSYS;
    }
    std::ptrdiff_t receive_from(int, std::span<std::byte>, SocketAddress&) noexcept override {
        return -ENOSYS;
    }
    int join_group(int, const SocketAddress&) noexcept override { return -ENOSYS; }
    int leave_group(int, const SocketAddress&) noexcept override { return -ENOSYS; }
    std::vector<SocketAddress> look_up(const std::string&, std::uint16_t) override { return {}; }
    int make_pipe(int&, int&) noexcept override { return -ENOSYS; }
    int duplicate(int) noexcept override { return -ENOSYS; }
    int open_inotify() noexcept override { return -ENOSYS; }
    int add_watch(int, const char*, std::uint32_t) noexcept override { return -ENOSYS; }
    int remove_watch(int, int) noexcept override { return -ENOSYS; }
    std::ptrdiff_t read_records(int, std::span<std::byte>) noexcept override { return -ENOSYS; }
    std::size_t unread_bytes(int) noexcept override { return 0; }
    os::SimulatedFiles& files() noexcept override { std::abort(); }
    os::SimulatedPrograms& programs() noexcept override { std::abort(); }
    void run_later(UniqueFunction<void()>) override { std::abort(); }
    void run_jobs() override {}
    std::uint64_t random_bits() noexcept override { return 4; }
};

}  // namespace asyncio::fuzz
