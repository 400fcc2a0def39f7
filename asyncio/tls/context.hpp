// SPDX-License-Identifier: MIT
//
// SSLContext: how TLS connections are made. Certificates, what is trusted, which versions.
//
//     auto ctx = asyncio::ssl::create_default_context();              // verifies servers
//     auto [reader, writer] = co_await asyncio::open_connection("example.org", 443, {.ssl = &ctx});
//
//     auto ctx = asyncio::ssl::create_default_context(asyncio::ssl::Purpose::CLIENT_AUTH);
//     ctx.load_cert_chain("server.pem", "server.key");                // for start_server
//
// The defaults are the safe ones: TLS 1.2 at least, forward-secret authenticated ciphers, no
// compression, no renegotiation, no early data. A client checks the server's certificate and its
// name; it takes both settings to switch that off. A server asks clients for no certificate unless
// verify_mode is set. The same context serves both sides.
//
// A context is a handle; copies share certificates, trusted certificates and remembered sessions,
// but each has its own values of the plain members below. A call that is given a context takes a
// copy at once. To change what is shared while connections are being made is a race.
//
// Errors: std::system_error for files that cannot be read, SSLError for what is in them,
// std::invalid_argument for settings without a meaning.
// Threads: a context may be used by connections of several threads at a time.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/base/shared.hpp>
#include <asyncio/base/unique_function.hpp>
#include <asyncio/stream/secure.hpp>
#include <asyncio/tls/error.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asyncio::tls {
struct ContextState;
}

namespace asyncio::ssl {

enum class Purpose : std::uint8_t {
    SERVER_AUTH,  // for clients: what authenticates servers
    CLIENT_AUTH,  // for servers
};

enum class TLSVersion : std::uint16_t {
    MINIMUM_SUPPORTED = 0,  // what OpenSSL's own policy allows
    TLSv1 = 0x0301,
    TLSv1_1 = 0x0302,
    TLSv1_2 = 0x0303,
    TLSv1_3 = 0x0304,
    MAXIMUM_SUPPORTED = 0xffff,
};

enum VerifyMode : std::uint8_t {
    CERT_NONE,      // client: take any certificate. Server: do not ask for one
    CERT_OPTIONAL,  // server: ask; what comes must be good. Client: as CERT_REQUIRED
    CERT_REQUIRED,
};

/// Certificates to trust: a file, a folder (hashed by c_rehash), or PEM or DER in memory.
struct VerifyLocations {
    std::string_view cafile = {};
    std::string_view capath = {};
    std::string_view cadata = {};
};

class SSLContext final : public stream::SecureContext {
  public:
    /// Trusts nobody yet and has no certificate.
    SSLContext();

    /// The certificate (PEM, followed by its intermediates) that this side shows, and its key,
    /// empty: in the same file. A key that is encrypted and no password for it is an error.
    void load_cert_chain(const std::string& certfile, const std::string& keyfile = {},
                         const std::string& password = {});
    /// The same, of PEM text.
    void load_cert_chain_data(std::string_view chain, std::string_view key,
                              const std::string& password = {});
    void load_verify_locations(VerifyLocations locations);
    void load_verify_locations(std::string_view cafile) {
        load_verify_locations(VerifyLocations{.cafile = cafile});
    }
    /// Trust what the system trusts.
    void load_default_certs();

    /// OpenSSL's cipher list for TLS 1.2 and below; and the names for TLS 1.3.
    void set_ciphers(const std::string& ciphers);
    void set_ciphersuites(const std::string& names);
    /// Offered or accepted, the favourite first; e.g. {"h2", "http/1.1"}. A server takes the first
    /// of its own that the client offers, and goes on without one if there is none.
    void set_alpn_protocols(const std::vector<std::string>& protocols);

    /// Server: `choose(name)` is called with the name the client asks for (empty: none), and
    /// returns the context to go on with, or nullopt for this one. What it throws ends the
    /// handshake. It must not suspend, and is called in the thread of each connection.
    template <class F>
    void set_sni_callback(F choose) {
        set_name_callback([choose = std::move(choose)](std::string_view name) mutable {
            return state_of(choose(name));
        });
    }

    /// Sessions a client could resume.
    std::size_t cached_sessions() const;

    // --- read when a connection is made ----------------------------------------------------

    /// Client: the certificate must be for server_hostname.
    bool check_hostname = true;
    /// nullopt: a client requires, a server does not ask.
    Option<VerifyMode> verify_mode;
    TLSVersion minimum_version = TLSVersion::TLSv1_2;
    TLSVersion maximum_version = TLSVersion::MAXIMUM_SUPPORTED;
    /// True: the end of the connection below, without the peer's close_notify, counts as a clean
    /// end. For protocols whose messages tell where they end, and peers that do not say goodbye.
    bool suppress_ragged_eofs = false;
    /// Have the kernel encrypt what is sent (OpenSSL's SSL_OP_ENABLE_KTLS), so that loop.sendfile()
    /// sends files natively. Done where it can be: TLS 1.3 on a TCP socket, a cipher of AES-GCM or
    /// ChaCha20-Poly1305, and a system with the module "tls" when the program asks first; elsewhere
    /// nothing changes. SSLObject::ktls_send() tells. Each write is records of its own then; and a
    /// peer that asks us to renew our keys (KeyUpdate) gets an SSLError: the kernel cannot.
    bool enable_ktls = false;

    // --- for the streams, and the rest of this room ----------------------------------------

    Shared<const stream::SecureContext> share() const override;
    Ref<stream::SecureLayer> wrap(Ref<stream::Protocol> above,
                                  const stream::SecureOptions& options) const override;
    const Shared<tls::ContextState>& state() const noexcept { return state_; }
    bool verifies(bool server_side) const noexcept;

  private:
    using NameCallback = UniqueFunction<Shared<tls::ContextState>(std::string_view)>;
    void set_name_callback(NameCallback callback);
    static Shared<tls::ContextState> state_of(const std::optional<SSLContext>& chosen);

    Shared<tls::ContextState> state_;
};

/// A context with safe settings, which trusts `locations`, or, if they are empty and it is for
/// clients, what the system trusts.
SSLContext create_default_context(Purpose purpose = Purpose::SERVER_AUTH,
                                  VerifyLocations locations = {});

}  // namespace asyncio::ssl
