// SPDX-License-Identifier: MIT
//
// Protocol and BufferedProtocol: what a user derives from to be called instead of awaiting.
//
//     class Echo : public asyncio::Protocol {
//         void connection_made(asyncio::Transport& transport) override { transport_ = &transport; }
//         void data_received(std::span<const std::byte> data) override { transport_->write(data); }
//         asyncio::Transport* transport_ = nullptr;
//     };
//
// All methods have the defaults of asyncio: do nothing; close at the peer's end of stream. See
// stream/transport.hpp for their order. What one of them throws is reported to the loop's exception
// handler and ends the connection (except pause_writing, resume_writing and connection_lost).
//
// A transport keeps its protocol until connection_lost returned. A protocol may keep a plain
// pointer to its transport from connection_made to connection_lost. Factories return a
// std::unique_ptr, a std::shared_ptr or a Ref to a protocol made with new. Threads: the loop's.
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/base/shared.hpp>
#include <asyncio/stream/transport.hpp>

#include <cstddef>
#include <exception>
#include <span>
#include <string_view>
#include <type_traits>

namespace asyncio {

using Transport = stream::Transport;

/// The text of bytes a protocol was given.
inline std::string_view as_text(std::span<const std::byte> data) noexcept {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

namespace stream {

/// What both kinds share.
class UserProtocol : public Protocol {
  public:
    virtual ~UserProtocol();
    void connection_made(Transport&) override {}
    bool eof_received() override { return false; }
    void connection_lost(std::exception_ptr) override {}
    void pause_writing() override {}
    void resume_writing() override {}

    void destroy() noexcept final;
    /// While references exist, `owner` owns this, not they.
    void keep_by(Shared<void> owner) noexcept { owner_ = std::move(owner); }

  private:
    Shared<void> owner_;
};

}  // namespace stream

class Protocol : public stream::UserProtocol {
  public:
    void data_received(std::span<const std::byte>) override {}
};

/// Received bytes go into memory of the protocol's own.
class BufferedProtocol : public stream::UserProtocol {
  public:
    /// Memory for received bytes, at least one. `size_hint`: what would be useful, or -1.
    virtual std::span<std::byte> get_buffer(std::ptrdiff_t size_hint) = 0;
    /// The first `count` bytes of that memory are received ones.
    virtual void buffer_updated(std::size_t count) = 0;

  private:
    void data_received(std::span<const std::byte> data) final;
};

namespace stream {

// A factory's product as a counted reference.
template <class Owner>  // std::unique_ptr
    requires requires(Owner& protocol) { protocol.get_deleter(); }
auto own_protocol(Owner protocol) noexcept -> Ref<typename Owner::element_type> {
    return Ref<typename Owner::element_type>(protocol.release());
}
template <class Owner>  // std::shared_ptr
    requires requires(Owner& protocol) { protocol.use_count(); }
auto own_protocol(Owner protocol) -> Ref<typename Owner::element_type> {
    auto* const object = protocol.get();
    object->keep_by(std::move(protocol));
    return Ref<typename Owner::element_type>(object);
}
template <class P>
Ref<P> own_protocol(Ref<P> protocol) noexcept {
    return protocol;
}

/// The protocol that a factory F makes.
template <class F>
using ProtocolOf =
    std::remove_pointer_t<decltype(own_protocol(std::declval<std::invoke_result_t<F&>>()).get())>;

/// Makes a protocol of kind Base for each connection or endpoint.
template <class Base>
class FactoryOf {
  public:
    virtual ~FactoryOf() = default;
    virtual Ref<Base> make() = 0;
};

using ProtocolFactory = FactoryOf<Protocol>;

template <class Base, class F>
class FactoryBy final : public FactoryOf<Base> {
  public:
    explicit FactoryBy(F factory) : factory_(std::move(factory)) {}
    Ref<Base> make() override { return own_protocol(factory_()); }

  private:
    F factory_;
};

template <class Base = Protocol, class F>
Owned<FactoryOf<Base>> make_factory(F factory) {
    static_assert(std::is_invocable_v<F&>, "a protocol factory takes no arguments");
    return make_owned<FactoryBy<Base, F>>(std::move(factory));
}

}  // namespace stream
}  // namespace asyncio
