// SPDX-License-Identifier: MIT
#include <asyncio/tls/context_state.hpp>
#include <asyncio/tls/engine.hpp>
#include <asyncio/tls/error.hpp>

#include <openssl/ssl.h>

namespace asyncio::tls {

namespace {

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void* argument) {
    const std::string& ours = static_cast<const ContextState*>(argument)->alpn_wire;
    if (ours.empty()) return SSL_TLSEXT_ERR_NOACK;
    unsigned char* found = nullptr;
    const int result =
        SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned int>(ours.size()), offered, offered_size);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

ContextState::ContextState() : native(SSL_CTX_new(TLS_method())) {
    if (native == nullptr) throw_ssl_error("TLS context");
    SSL_CTX_set_options(
        native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // A key that needs a password must not ask the terminal for it.
    SSL_CTX_set_default_passwd_cb(native, [](char*, int, int, void*) { return -1; });
    SSL_CTX_set_session_cache_mode(native,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    static constexpr unsigned char kSessionContext[] = "asyncio";
    SSL_CTX_set_session_id_context(native, kSessionContext, sizeof kSessionContext - 1);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(native),
                                X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_alpn_select_cb(native, &choose_protocol, this);
    SSL_CTX_sess_set_new_cb(native, [](SSL* ssl, SSL_SESSION* session) {
        Engine::of(ssl).keep_session(session);
        return 1;  // the session is ours now
    });
    SSL_CTX_set_tlsext_servername_callback(
        native, +[](SSL* ssl, int*, void*) { return Engine::of(ssl).choose_context(); });
}

ContextState::~ContextState() { SSL_CTX_free(native); }

}  // namespace asyncio::tls
