// SPDX-License-Identifier: MIT
//
// What TLS can fail with: Python's names. All are std::system_error, as Python's are OSErrors; the
// code is OpenSSL's, its message OpenSSL's reason.
#pragma once

#include <string>
#include <system_error>
#include <utility>

namespace asyncio::ssl {

/// Codes of OpenSSL's error queue; message() is the reason, e.g. "wrong version number".
const std::error_category& ssl_category() noexcept;

class SSLError : public std::system_error {
  public:
    SSLError(int code, const std::string& what)
        : std::system_error(code, ssl_category(), what), reason_(this->code().message()) {}

    /// OpenSSL's words: "certificate verify failed".
    const std::string& reason() const noexcept { return reason_; }

  private:
    std::string reason_;
};

/// The peer's certificate, or its name, was not accepted.
class SSLCertVerificationError final : public SSLError {
  public:
    SSLCertVerificationError(int code, const std::string& what, int verify_code,
                             std::string verify_message)
        : SSLError(code, what + " (" + verify_message + ")"),
          verify_code_(verify_code),
          verify_message_(std::move(verify_message)) {}

    /// X509_V_ERR_...
    int verify_code() const noexcept { return verify_code_; }
    /// "self-signed certificate", "hostname mismatch", "certificate has expired".
    const std::string& verify_message() const noexcept { return verify_message_; }

  private:
    int verify_code_;
    std::string verify_message_;
};

/// The connection ended without the peer's goodbye (close_notify): what came may not be all.
class SSLEOFError final : public SSLError {
  public:
    using SSLError::SSLError;
};

}  // namespace asyncio::ssl

namespace asyncio::tls {

/// The oldest entry of this thread's OpenSSL error queue as an exception; empties the queue.
/// `what` says what was attempted.
[[noreturn]] void throw_ssl_error(const std::string& what);
/// Whatever a connection is truncated by.
[[noreturn]] void throw_eof_error(const std::string& what);
/// A peer makes us work, or answer, without end.
[[noreturn]] void throw_flood_error(const std::string& what);
/// The peer asks for new keys, and they were given to the kernel, which keeps its first ones.
[[noreturn]] void throw_new_keys_error(const std::string& what);
/// For a handshake that did not accept the peer's certificate.
[[noreturn]] void throw_verification_error(const std::string& what, int verify_code);

}  // namespace asyncio::tls
