// SPDX-License-Identifier: MIT
//
// SSLObject: what a secure connection tells of itself, Python's ssl.SSLObject as far as it only
// answers questions. StreamWriter::ssl() gives it; the tls room implements it. It stands here
// because streams may know that a connection is secure, but not by which library.
#pragma once

#include <asyncio/base/time.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::ssl {

struct Cipher {
    std::string name;      // "TLS_AES_256_GCM_SHA384"
    std::string protocol;  // the version that defined it: "TLSv1.3"
    int secret_bits = 0;
};

/// A certificate, decoded.
struct Certificate {
    std::string subject;  // as RFC 2253 writes it: "CN=localhost,O=Example"
    std::string issuer;
    std::string common_name;  // of the subject; empty if it has none
    std::vector<std::string>
        subject_alt_names;      // "DNS:localhost", "IP:127.0.0.1", "email:...", "URI:..."
    std::string serial_number;  // hexadecimal
    std::chrono::system_clock::time_point not_before;
    std::chrono::system_clock::time_point not_after;
    std::string fingerprint;  // SHA-256 of `der`, hexadecimal in lower case
    std::string der;          // the certificate itself
};

class SSLObject {
  public:
    virtual bool server_side() const noexcept = 0;
    /// "TLSv1.3"
    virtual std::string_view version() const = 0;
    virtual Cipher cipher() const = 0;
    /// The peer's certificate, if it sent one (and, unless checking is off, it was found good).
    virtual std::optional<Certificate> getpeercert() const = 0;
    /// What both sides agreed on, or empty.
    virtual std::string_view selected_alpn_protocol() const = 0;
    /// The name a client asked for: its own, or on the server the one that came; or empty.
    virtual std::string_view server_hostname() const = 0;
    /// The handshake was an abbreviated one.
    virtual bool session_reused() const = 0;
    /// The kernel encrypts what is sent: see SSLContext::enable_ktls.
    virtual bool ktls_send() const noexcept = 0;

  protected:
    ~SSLObject() = default;
};

}  // namespace asyncio::ssl
