// SPDX-License-Identifier: MIT
#include <asyncio/tls/error.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace asyncio::ssl {

namespace {

class SslCategory final : public std::error_category {
  public:
    const char* name() const noexcept override { return "ssl"; }
    std::string message(int code) const override {
        const auto packed = static_cast<unsigned int>(code);
        if (const char* reason = ERR_reason_error_string(packed)) return reason;
        char text[128];
        ERR_error_string_n(packed, text, sizeof text);
        return text;
    }
};

}  // namespace

const std::error_category& ssl_category() noexcept {
    static const SslCategory instance;
    return instance;
}

}  // namespace asyncio::ssl

namespace asyncio::tls {

namespace {

int packed(int reason) { return static_cast<int>(ERR_PACK(ERR_LIB_SSL, 0, reason)); }

}  // namespace

void throw_ssl_error(const std::string& what) {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) throw ssl::SSLError(packed(ERR_R_INTERNAL_ERROR), what);
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        throw_eof_error(what);
    throw ssl::SSLError(static_cast<int>(code), what);
}

void throw_eof_error(const std::string& what) {
    ERR_clear_error();
    throw ssl::SSLEOFError(packed(SSL_R_UNEXPECTED_EOF_WHILE_READING), what);
}

void throw_flood_error(const std::string& what) {
    ERR_clear_error();
    throw ssl::SSLError(packed(SSL_R_TOO_MANY_KEY_UPDATES), what);
}

void throw_new_keys_error(const std::string& what) {
    ERR_clear_error();
    throw ssl::SSLError(packed(ERR_R_UNSUPPORTED),
                        what + ": the peer asks for new keys, the kernel's TLS has none");
}

void throw_verification_error(const std::string& what, int verify_code) {
    ERR_clear_error();
    throw ssl::SSLCertVerificationError(packed(SSL_R_CERTIFICATE_VERIFY_FAILED), what, verify_code,
                                        X509_verify_cert_error_string(verify_code));
}

}  // namespace asyncio::tls
