// SPDX-License-Identifier: MIT
//
// open_datagram and DatagramEndpoint: UDP (or unix datagrams) awaited.
//
//     auto udp = co_await asyncio::open_datagram({.local = {"127.0.0.1", 9998}});
//     for (;;) {
//         auto [bytes, from] = co_await udp.recvfrom();
//         co_await udp.sendto(bytes, from);
//     }
//
// Datagrams that arrive while nobody waits are kept, up to DatagramOptions::receive_limit bytes
// (1 MiB; each counts its own record, too). Above that nothing more is taken from the system until
// half of it was read: then the system's buffer fills, and what does not fit there is lost, the
// newest first. So a slow reader sees the oldest datagrams, without gaps the library made.
//
// Several tasks may wait in recvfrom(): each gets one datagram, in the order they came. Cancelling
// one loses no datagram.
//
// Errors: a refusal by the peer's host (ICMP; connected endpoints only), or a datagram of more than
// 64 KiB (EMSGSIZE), is thrown once, by the waiting or the next recvfrom(); what cannot be sent, by
// its sendto(). The endpoint goes on. After close() both throw std::system_error (EBADF).
//
// Move-only; its end closes the socket. Threads: the loop's.
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/net/datagram_options.hpp>
#include <asyncio/net/datagram_transport.hpp>
#include <asyncio/stream/protocol.hpp>
#include <asyncio/task/wait_list.hpp>

#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio {

namespace net {

/// The protocol behind a DatagramEndpoint.
class DatagramCore final : public DatagramProtocol {
  public:
    using Item = std::pair<std::string, SocketAddress>;

    explicit DatagramCore(std::size_t limit);
    ~DatagramCore() override;

    /// A recvfrom() that waits.
    class Wait : public task::ListWait {
      public:
        const char* what() const noexcept override { return "recvfrom"; }

      protected:
        friend class DatagramCore;
        void fill(Item item) noexcept;

        std::string data_;
        SocketAddress from_;
        std::exception_ptr failure_;
        bool filled_ = false;  // with one of them
    };

    DatagramTransport& transport() const noexcept { return *transport_; }
    bool ready() const noexcept { return queued_ != 0 || error_ || lost_; }
    bool paused() const noexcept { return paused_; }
    bool lost() const noexcept { return lost_; }
    /// What is there: a datagram, or the error as an exception. REQUIRES: ready().
    Item take();
    void put_back(Item item);
    IntrusiveList<task::ListWait>& readers() noexcept { return readers_; }
    task::WaitList& drained() noexcept { return drained_; }
    task::WaitList& closed() noexcept { return closed_; }

    void connection_made(DatagramTransport& transport) override;
    void datagram_received(std::span<const std::byte> data, const SocketAddress& from) override;
    void error_received(std::exception_ptr error) override;
    void connection_lost(std::exception_ptr error) override;
    void pause_writing() override { paused_ = true; }
    void resume_writing() override;

  private:
    struct Queue;

    static std::size_t cost(const Item& item) noexcept;

    Ref<DatagramTransport> transport_;
    Owned<Queue> queue_;
    std::size_t queued_ = 0;  // bytes in it, see cost()
    std::size_t limit_;
    IntrusiveList<task::ListWait> readers_;
    std::exception_ptr error_;  // to be thrown once
    task::WaitList drained_;
    task::WaitList closed_;
    bool paused_ = false;
    bool receiving_paused_ = false;
    bool lost_ = false;
};

class ReceiveFromAwaiter final : public DatagramCore::Wait {
  public:
    explicit ReceiveFromAwaiter(Ref<DatagramCore> core) noexcept : core_(std::move(core)) {}
    bool await_ready() const noexcept { return core_->ready(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) noexcept {
        suspend(frame.promise().driver(), core_->readers());
    }
    DatagramCore::Item await_resume();

  private:
    void give_back();

    Ref<DatagramCore> core_;
};

class SendToAwaiter final : public task::ListWait {
  public:
    SendToAwaiter(Ref<DatagramCore> core, std::span<const std::byte> data,
                  const SocketAddress& to) noexcept
        : core_(std::move(core)), data_(data), to_(to) {}
    bool await_ready();
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) noexcept {
        suspend(frame.promise().driver(), core_->drained().waits());
    }
    void await_resume();
    const char* what() const noexcept override { return "sendto"; }

  private:
    Ref<DatagramCore> core_;
    std::span<const std::byte> data_;
    SocketAddress to_;  // family 0: the endpoint's remote address
    int result_ = 0;
};

class DatagramClosedAwaiter final : public task::ListWait {
  public:
    explicit DatagramClosedAwaiter(Ref<DatagramCore> core) noexcept : core_(std::move(core)) {}
    bool await_ready() const noexcept { return core_->lost(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) noexcept {
        suspend(frame.promise().driver(), core_->closed().waits());
    }
    void await_resume() { resume(); }
    const char* what() const noexcept override { return "wait_closed"; }

  private:
    Ref<DatagramCore> core_;
};

template <class A>
class [[nodiscard]] OnDatagrams : public coro::DriverAwaitable {
  public:
    explicit OnDatagrams(Ref<DatagramCore> core) noexcept : core_(std::move(core)) {}
    A operator co_await() const noexcept { return A(core_); }

  private:
    Ref<DatagramCore> core_;
};

class [[nodiscard]] SendTo : public coro::DriverAwaitable {
  public:
    SendTo(Ref<DatagramCore> core, std::span<const std::byte> data,
           const SocketAddress& to) noexcept
        : core_(std::move(core)), data_(data), to_(to) {}
    SendToAwaiter operator co_await() const noexcept { return SendToAwaiter(core_, data_, to_); }

  private:
    Ref<DatagramCore> core_;
    std::span<const std::byte> data_;
    SocketAddress to_;
};

}  // namespace net

class DatagramEndpoint {
  public:
    explicit DatagramEndpoint(Ref<net::DatagramCore> core) noexcept : core_(std::move(core)) {}
    DatagramEndpoint(DatagramEndpoint&&) noexcept = default;
    DatagramEndpoint& operator=(DatagramEndpoint&& other) noexcept;
    ~DatagramEndpoint();

    /// The next datagram, which may be empty, and its sender.
    auto recvfrom() const { return net::OnDatagrams<net::ReceiveFromAwaiter>(core_); }

    /// Send one datagram; waits only while more than the high-water mark (64 KiB) is kept because
    /// the system has no room. `data` must live until the await ends. Cancelled: it is sent later.
    /// std::invalid_argument without an address, unless the endpoint has a remote one, and for
    /// another one than that.
    auto sendto(std::span<const std::byte> data, const SocketAddress& to) const {
        return net::SendTo(core_, data, to);
    }
    net::SendTo sendto(std::string_view text, const SocketAddress& to) const;
    auto sendto(std::span<const std::byte> data) const {
        return net::SendTo(core_, data, SocketAddress());
    }
    net::SendTo sendto(std::string_view text) const;

    /// Send what is kept, then close. Idempotent.
    void close() const { core_->transport().close(); }
    void abort() const { core_->transport().abort(); }
    bool is_closing() const noexcept { return core_->lost() || core_->transport().is_closing(); }
    auto wait_closed() const { return net::OnDatagrams<net::DatagramClosedAwaiter>(core_); }

    const SocketAddress& sockname() const noexcept { return core_->transport().sockname(); }
    const SocketAddress& peername() const noexcept { return core_->transport().peername(); }
    TransportSocket socket() const noexcept { return core_->transport().socket(); }
    /// For multicast, limits and what else is not here.
    DatagramTransport& transport() const noexcept { return core_->transport(); }
    void join_group(std::string_view group, std::string_view interface = {}) const {
        core_->transport().join_group(group, interface);
    }
    void leave_group(std::string_view group, std::string_view interface = {}) const {
        core_->transport().leave_group(group, interface);
    }

  private:
    Ref<net::DatagramCore> core_;
};

/// Errors: std::system_error, e.g. "bind on address 127.0.0.1:9998: Address already in use".
ASYNCIO_CORO_WRAPPER Coro<DatagramEndpoint> open_datagram(DatagramOptions options);

namespace net {

Coro<Ref<DatagramTransport>> connect_datagram(Owned<stream::FactoryOf<DatagramProtocol>> factory,
                                              DatagramOptions options);

template <class P>
Coro<std::pair<Ref<DatagramTransport>, Ref<P>>> with_datagram_protocol(
    Coro<Ref<DatagramTransport>> opening) {
    Ref<DatagramTransport> transport = co_await std::move(opening);
    Ref<P> protocol(static_cast<P*>(transport->get_protocol()));
    co_return std::pair<Ref<DatagramTransport>, Ref<P>>(std::move(transport), std::move(protocol));
}

}  // namespace net

/// The callback level: the factory's protocol has had its connection_made when this returns.
template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_datagram_endpoint(F factory,
                                                                   DatagramOptions options) {
    using P = stream::ProtocolOf<F>;
    return net::with_datagram_protocol<P>(
        net::connect_datagram(stream::make_factory<DatagramProtocol>(std::move(factory)), options));
}

}  // namespace asyncio
