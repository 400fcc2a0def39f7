// SPDX-License-Identifier: MIT
#include <asyncio/tls/context.hpp>
#include <asyncio/tls/context_state.hpp>
#include <asyncio/tls/tls_layer.hpp>

#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace asyncio::ssl {

namespace {

struct Free {
    void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using X509Ptr = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

/// For clients, who meet old servers; the order is Python's.
constexpr char kClientCiphers[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:"
    "!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM";
/// For servers: forward-secret, authenticated encryption, nothing else.
constexpr char kServerCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL:!aDSS";

Bio open_file(const std::string& path) {
    errno = 0;
    Bio bio(BIO_new_file(path.c_str(), "rb"));
    if (!bio) {
        const int error = errno;
        ERR_clear_error();
        throw std::system_error(error, std::generic_category(), "open " + path);
    }
    return bio;
}

Bio open_memory(std::string_view text) {
    if (text.size() > INT_MAX) throw std::invalid_argument("certificate data above 2 GiB");
    Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    if (!bio) throw std::bad_alloc();
    return bio;
}

/// Never asks the terminal.
int give_password(char* memory, int size, int, void* password) {
    const std::string& text = *static_cast<const std::string*>(password);
    if (text.empty() || text.size() > static_cast<std::size_t>(size)) return -1;
    std::memcpy(memory, text.data(), text.size());
    return static_cast<int>(text.size());
}

bool is_end_of_pem() {
    const unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

void use_chain(SSL_CTX* ctx, BIO* bio, const std::string& name) {
    ERR_clear_error();
    const X509Ptr own(PEM_read_bio_X509_AUX(bio, nullptr, nullptr, nullptr));
    if (!own || SSL_CTX_use_certificate(ctx, own.get()) != 1)
        tls::throw_ssl_error("certificate chain of " + name);
    SSL_CTX_clear_chain_certs(ctx);
    while (X509Ptr next{PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)})
        if (SSL_CTX_add0_chain_cert(ctx, next.get()) == 1)
            (void)next.release();
        else
            tls::throw_ssl_error("certificate chain of " + name);
    if (!is_end_of_pem()) tls::throw_ssl_error("certificate chain of " + name);
    ERR_clear_error();
}

void use_key(SSL_CTX* ctx, BIO* bio, const std::string& password, const std::string& name) {
    ERR_clear_error();
    auto* argument = const_cast<std::string*>(&password);
    const Key key(PEM_read_bio_PrivateKey(bio, nullptr, &give_password, argument));
    if (!key || SSL_CTX_use_PrivateKey(ctx, key.get()) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        tls::throw_ssl_error("private key of " + name);
}

X509Ptr read_der(BIO* bio) { return X509Ptr(d2i_X509_bio(bio, nullptr)); }

/// Puts all certificates of `data` into the store.
void trust(SSL_CTX* ctx, std::string_view data) {
    ERR_clear_error();
    const Bio bio = open_memory(data);
    const bool pem = data.find("-----BEGIN") != std::string_view::npos;
    int count = 0;
    for (;; ++count) {
        const X509Ptr next = pem ? X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
                                 : (BIO_eof(bio.get()) ? X509Ptr() : read_der(bio.get()));
        if (!next) break;
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), next.get()) != 1)
            tls::throw_ssl_error("trusted certificates in memory");
    }
    if (count == 0 || (pem && !is_end_of_pem()) || (!pem && !BIO_eof(bio.get())))
        tls::throw_ssl_error("trusted certificates in memory");
    ERR_clear_error();
}

}  // namespace

SSLContext::SSLContext() : state_(Shared<tls::ContextState>::make()) {}

void SSLContext::load_cert_chain(const std::string& certfile, const std::string& keyfile,
                                 const std::string& password) {
    const std::string& key = keyfile.empty() ? certfile : keyfile;
    const Bio chain_bio = open_file(certfile);
    const Bio key_bio = open_file(key);
    use_chain(state_->native, chain_bio.get(), certfile);
    use_key(state_->native, key_bio.get(), password, key);
}

void SSLContext::load_cert_chain_data(std::string_view chain, std::string_view key,
                                      const std::string& password) {
    const Bio chain_bio = open_memory(chain);
    const Bio key_bio = open_memory(key);
    use_chain(state_->native, chain_bio.get(), "memory");
    use_key(state_->native, key_bio.get(), password, "memory");
}

void SSLContext::load_verify_locations(VerifyLocations locations) {
    if (locations.cafile.empty() && locations.capath.empty() && locations.cadata.empty())
        throw std::invalid_argument("cafile, capath and cadata cannot be all omitted");
    ERR_clear_error();
    if (!locations.cafile.empty()) {
        const std::string path(locations.cafile);
        (void)open_file(path);  // for an error that names the file
        if (SSL_CTX_load_verify_file(state_->native, path.c_str()) != 1)
            tls::throw_ssl_error("trusted certificates of " + path);
    }
    if (!locations.capath.empty()) {
        const std::string path(locations.capath);
        if (SSL_CTX_load_verify_dir(state_->native, path.c_str()) != 1)
            tls::throw_ssl_error("trusted certificates of " + path);
    }
    if (!locations.cadata.empty()) trust(state_->native, locations.cadata);
}

void SSLContext::load_default_certs() {
    ERR_clear_error();
    if (SSL_CTX_set_default_verify_paths(state_->native) != 1)
        tls::throw_ssl_error("the system's trusted certificates");
}

void SSLContext::set_ciphers(const std::string& ciphers) {
    ERR_clear_error();
    if (SSL_CTX_set_cipher_list(state_->native, ciphers.c_str()) != 1)
        tls::throw_ssl_error("ciphers " + ciphers);
}

void SSLContext::set_ciphersuites(const std::string& names) {
    ERR_clear_error();
    if (SSL_CTX_set_ciphersuites(state_->native, names.c_str()) != 1)
        tls::throw_ssl_error("ciphersuites " + names);
}

void SSLContext::set_alpn_protocols(const std::vector<std::string>& protocols) {
    std::string wire;
    for (const std::string& name : protocols) {
        if (name.empty() || name.size() > 255)
            throw std::invalid_argument("ALPN protocols must be 1 to 255 bytes long");
        wire += static_cast<char>(name.size());
        wire += name;
    }
    const auto* bytes = reinterpret_cast<const unsigned char*>(wire.data());
    if (SSL_CTX_set_alpn_protos(state_->native, bytes, static_cast<unsigned int>(wire.size())) != 0)
        throw std::bad_alloc();
    state_->alpn_wire = std::move(wire);
}

std::size_t SSLContext::cached_sessions() const { return state_->sessions.size(); }

bool SSLContext::verifies(bool server_side) const noexcept {
    return verify_mode.value_or(server_side ? CERT_NONE : CERT_REQUIRED) != CERT_NONE;
}

Shared<tls::ContextState> SSLContext::state_of(const std::optional<SSLContext>& chosen) {
    return chosen ? chosen->state_ : nullptr;
}

void SSLContext::set_name_callback(NameCallback callback) {
    state_->on_server_name = std::move(callback);
}

Shared<const stream::SecureContext> SSLContext::share() const {
    return Shared<SSLContext>::make(*this);
}

Ref<stream::SecureLayer> SSLContext::wrap(Ref<stream::Protocol> above,
                                          const stream::SecureOptions& options) const {
    return tls::make_layer(*this, std::move(above), options);
}

SSLContext create_default_context(Purpose purpose, VerifyLocations locations) {
    SSLContext context;
    const bool given =
        !locations.cafile.empty() || !locations.capath.empty() || !locations.cadata.empty();
    context.set_ciphers(purpose == Purpose::SERVER_AUTH ? kClientCiphers : kServerCiphers);
    if (given)
        context.load_verify_locations(locations);
    else if (purpose == Purpose::SERVER_AUTH)
        context.load_default_certs();
    return context;
}

}  // namespace asyncio::ssl
