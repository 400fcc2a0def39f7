// SPDX-License-Identifier: MIT
//
// What a secure layer is to the rooms that do not know it: net, which opens connections, and
// StreamWriter::start_tls(). The tls room implements it.
//
// A SecureLayer stands between a transport and a protocol: to the transport it is the protocol, to
// the protocol it gives a transport (SecureLayer::transport()), which encrypts.
//
//     socket transport <-> SecureLayer <-> its transport() <-> protocol above
//
// The protocol's connection_made is called when the handshake is over; if the handshake fails it is
// never called, nor is connection_lost. Who else wants to know gives a HandshakeListener.
//
// Threads: the loop's, except SecureContext: any.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/base/owned.hpp>
#include <asyncio/base/shared.hpp>
#include <asyncio/base/time.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/stream/transport.hpp>

#include <exception>
#include <string>
#include <string_view>

namespace asyncio {

struct StartTlsOptions {
    /// Client: the name in the server's certificate; nullopt: the host that was connected to.
    Option<std::string_view> server_hostname = {};
    Option<Duration> ssl_handshake_timeout = {};  // default: 60 s
    Option<Duration> ssl_shutdown_timeout = {};   // default: 30 s
    Option<bool> server_side = {};  // default: if the connection was accepted by a server
};

namespace stream {

inline constexpr Duration kHandshakeTimeout = std::chrono::seconds(60);
inline constexpr Duration kShutdownTimeout = std::chrono::seconds(30);

struct SecureOptions {
    bool server_side = false;
    std::string server_hostname = {};  // client: asked for and checked; empty: neither
    Duration handshake_timeout = kHandshakeTimeout;
    Duration shutdown_timeout = kShutdownTimeout;
};

class HandshakeListener {
  public:
    virtual ~HandshakeListener() = default;
    /// Once: `error` is null if the handshake was completed; the protocol above is connected.
    /// Destroyed without a call if the loop closes first.
    virtual void handshake_over(std::exception_ptr error) noexcept = 0;
};

class SecureLayer : public Protocol {
  public:
    /// What the protocol above writes to.
    virtual Transport& transport() const noexcept = 0;
    virtual void set_listener(Owned<HandshakeListener> listener) noexcept = 0;
    /// In place of connection_made, on a connection in use: takes the place of `below`'s protocol.
    /// `received` came from the peer and was not read. The protocol above is connected already.
    virtual void upgrade(Transport& below, std::span<const std::byte> received) = 0;

  protected:
    ~SecureLayer() = default;
};

/// How to make layers. See asyncio::ssl::SSLContext.
class SecureContext {
  public:
    virtual ~SecureContext() = default;
    /// A copy of it as it is now, which shares what is large.
    virtual Shared<const SecureContext> share() const = 0;
    /// std::invalid_argument for settings without a meaning, e.g. a name to check that is missing.
    virtual Ref<SecureLayer> wrap(Ref<Protocol> above, const SecureOptions& options) const = 0;

  protected:
    SecureContext() = default;
    SecureContext(const SecureContext&) = default;
    SecureContext& operator=(const SecureContext&) = default;
};

/// The TLS part of the options of a call, as the caller gave it.
struct SecureArguments {
    const SecureContext* ssl = nullptr;
    Option<std::string_view> server_hostname = {};
    Option<Duration> handshake_timeout = {};
    Option<Duration> shutdown_timeout = {};
};

/// The same, checked and owned. Without a context: a plain connection.
struct Security {
    Shared<const SecureContext> context = {};
    SecureOptions options = {};

    explicit operator bool() const noexcept { return context != nullptr; }
    Ref<SecureLayer> wrap(Ref<Protocol> above) const {
        return context->wrap(std::move(above), options);
    }
};

SecureArguments arguments_of(const SecureContext& context, const StartTlsOptions& options);

/// `host`: what a client's server_hostname is unless one is given; nullopt: there is no host, and
/// it must be given. std::invalid_argument for a time limit that is not positive, and for anything
/// but a null context given without a context.
Security client_security(const SecureArguments& arguments, Option<std::string_view> host);
Security server_security(const SecureArguments& arguments);

/// Wait until `layer` is through with its handshake; throws what it failed with. Cancelled: aborts
/// the connection.
Coro<> handshake(Ref<SecureLayer> layer);

}  // namespace stream
}  // namespace asyncio
