// SPDX-License-Identifier: MIT
//
// SocketRecords: the KernelTls of a SocketTransport. Made when somebody asks for it.
//
// Who waits for room is called when the transport's buffers are out, nobody has its sending side
// (DirectSend), and the socket then polls writable. The transport tells when to look: flushed(),
// the end of a DirectSend, writable_again().
#pragma once

#include <asyncio/stream/kernel_tls.hpp>

namespace asyncio::net {

class SocketTransport;

class SocketRecords final : public stream::KernelTls {
  public:
    explicit SocketRecords(SocketTransport& transport) noexcept : transport_(transport) {}
    SocketRecords(const SocketRecords&) = delete;
    SocketRecords& operator=(const SocketRecords&) = delete;
    ~SocketRecords() = default;

    bool is_supported() const noexcept override;
    bool is_flushed() const noexcept override;
    bool start(const tls_crypto_info& crypto) noexcept override;
    int send_record(std::uint8_t type, std::span<const std::byte> content) noexcept override;
    void when_room(UniqueFunction<void()> call) override;

    // --- for the transport -----------------------------------------------------------------

    bool waits() const noexcept { return static_cast<bool>(call_); }
    /// There is room now.
    void call_now();
    void forget() noexcept { call_ = UniqueFunction<void()>(); }

  private:
    SocketTransport& transport_;
    UniqueFunction<void()> call_;
};

}  // namespace asyncio::net
