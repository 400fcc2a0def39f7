// SPDX-License-Identifier: MIT
#include <asyncio/base/system_error.hpp>
#include <asyncio/tls/certificate.hpp>
#include <asyncio/tls/context.hpp>
#include <asyncio/tls/engine.hpp>
#include <asyncio/tls/error.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <new>
#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace asyncio::tls {

// --- setting up --------------------------------------------------------------------------------

namespace {

// Commands that openssl/bio.h tells of in a comment only, as BIO_CTRL_SET_KTLS_SEND and
// BIO_CTRL_SET_KTLS_SEND_CTRL_MSG: OpenSSL 3 gives them to whatever BIO it writes to.
constexpr int kSetKernelTls = 72;   // number: to send; pointer: the keys, as linux/tls.h has them
constexpr int kSetRecordType = 74;  // number: what the next write is

/// OpenSSL wants at least the lowest it knows; 0 leaves its own policy.
int version_number(ssl::TLSVersion version) {
    return version == ssl::TLSVersion::MAXIMUM_SUPPORTED ? 0 : static_cast<int>(version);
}

bool is_address(const std::string& name) {
    ASN1_OCTET_STRING* address = a2i_IPADDRESS(name.c_str());
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return address != nullptr;
}

}  // namespace

Engine::Engine(const ssl::SSLContext& context, bool server_side, std::string server_hostname)
    : state_(context.state()),
      ssl_(SSL_new(state_->native)),
      server_hostname_(std::move(server_hostname)),
      server_side_(server_side),
      suppress_ragged_eofs_(context.suppress_ragged_eofs) {
    if (ssl_ == nullptr) throw_ssl_error("TLS connection");
    try {
        set_up(context);
    } catch (...) {
        SSL_free(ssl_);
        throw;
    }
}

Engine::~Engine() {
    // Without this OpenSSL marks the session as broken, and a client could not resume it.
    if (complete_) SSL_set_quiet_shutdown(ssl_, 1), SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN);
    SSL_free(ssl_);
}

void Engine::set_up(const ssl::SSLContext& context) {
    SSL_set_app_data(ssl_, this);
    BIO* bio = BIO_new(bio_method());
    if (bio == nullptr) throw_ssl_error("TLS connection");
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    if (SSL_set_min_proto_version(ssl_, version_number(context.minimum_version)) != 1 ||
        SSL_set_max_proto_version(ssl_, version_number(context.maximum_version)) != 1)
        throw_ssl_error("TLS versions");
    SSL_set_msg_callback(ssl_, &on_message);
    SSL_set_msg_callback_arg(ssl_, this);
    const ssl::VerifyMode mode =
        context.verify_mode.value_or(server_side_ ? ssl::CERT_NONE : ssl::CERT_REQUIRED);
    int flags = SSL_VERIFY_NONE;
    if (mode != ssl::CERT_NONE) flags = SSL_VERIFY_PEER;
    if (mode == ssl::CERT_REQUIRED) flags |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_set_verify(ssl_, flags, nullptr);
    if (server_side_) {
        SSL_set_accept_state(ssl_);
        return;
    }
    SSL_set_connect_state(ssl_);
    if (mode == ssl::CERT_NONE && context.check_hostname)
        throw std::invalid_argument(
            "verify_mode cannot be CERT_NONE while check_hostname is on: it checks nothing then");
    if (context.check_hostname && server_hostname_.empty())
        throw std::invalid_argument("check_hostname requires server_hostname");
    session_key_ = server_hostname_ + (mode == ssl::CERT_NONE   ? "|unverified"
                                       : context.check_hostname ? "|name"
                                                                : "|chain");
    if (!server_hostname_.empty()) ask_for_name();
    if (context.check_hostname) {
        X509_VERIFY_PARAM* param = SSL_get0_param(ssl_);
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        const bool set = is_address(server_hostname_)
                             ? X509_VERIFY_PARAM_set1_ip_asc(param, server_hostname_.c_str()) == 1
                             : X509_VERIFY_PARAM_set1_host(param, server_hostname_.data(),
                                                           server_hostname_.size()) == 1;
        if (!set) throw_ssl_error("server_hostname " + server_hostname_);
    }
    resume_session();
}

void Engine::ask_for_name() {
    if (server_hostname_.find('\0') != std::string::npos)
        throw std::invalid_argument("server_hostname has a NUL in it");
    if (server_hostname_.back() == '.') server_hostname_.pop_back();  // the root is not asked for
    if (server_hostname_.empty() || server_hostname_.front() == '.')
        throw std::invalid_argument("server_hostname cannot start with a dot");
    if (is_address(server_hostname_)) return;  // RFC 6066: names only
    if (SSL_set_tlsext_host_name(ssl_, server_hostname_.c_str()) != 1)
        throw_ssl_error("server_hostname " + server_hostname_);
}

void Engine::resume_session() {
    SSL_SESSION* session = state_->sessions.take(session_key_);
    if (session == nullptr) return;
    SSL_set_session(ssl_, session);
    SSL_SESSION_free(session);
    ERR_clear_error();  // a session that does not fit is only not resumed
}

Engine& Engine::of(const SSL* ssl) noexcept { return *static_cast<Engine*>(SSL_get_app_data(ssl)); }

// --- what OpenSSL calls ------------------------------------------------------------------------

BIO_METHOD* Engine::bio_method() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "asyncio");
        if (made == nullptr) throw std::bad_alloc();
        BIO_meth_set_write_ex(made, &bio_write);
        BIO_meth_set_read_ex(made, &bio_read);
        BIO_meth_set_ctrl(made, &bio_control);
        return made;
    }();
    return method;
}

int Engine::bio_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
    auto& self = *static_cast<Engine*>(BIO_get_data(bio));
    const auto bytes = std::as_bytes(std::span(data, size));
    BIO_clear_retry_flags(bio);
    try {
        if (self.kernel_sends_) {
            if (!self.send_record(bio, bytes)) return -1;
        } else {
            self.output_.append(bytes);
        }
    } catch (...) {
        return 0;
    }
    *written = size;
    return 1;
}

int Engine::bio_read(BIO* bio, char* data, std::size_t size, std::size_t* taken) {
    auto& self = *static_cast<Engine*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (!self.kept_.empty()) {
        *taken = std::min(size, self.kept_.size());
        std::memcpy(data, self.kept_.view().data(), *taken);
        self.kept_.consume(*taken);
        return 1;
    }
    if (!self.lent_.empty()) {
        *taken = std::min(size, self.lent_.size());
        std::memcpy(data, self.lent_.data(), *taken);
        self.lent_ = self.lent_.subspan(*taken);
        return 1;
    }
    *taken = 0;
    if (!self.input_ended_) BIO_set_retry_read(bio);
    return 0;
}

long Engine::bio_control(BIO* bio, int command, long number, void* pointer) {
    auto& self = *static_cast<Engine*>(BIO_get_data(bio));
    switch (command) {
        case BIO_CTRL_FLUSH:
            return self.is_flushed(bio) ? 1 : -1;
        case BIO_CTRL_EOF:
            return self.input_ended_ && self.kept_.empty() && self.lent_.empty();
        case kSetKernelTls:
            return number != 0 && self.give_keys(pointer);
        case BIO_CTRL_GET_KTLS_SEND:
            return self.kernel_sends_;
        case kSetRecordType:
            self.record_type_ = static_cast<std::uint8_t>(number);
            return 1;
        default:
            return 0;
    }
}

// --- the kernel's TLS ---------------------------------------------------------------------------

void Engine::offer_kernel(stream::KernelTls& kernel) noexcept {
    kernel_ = &kernel;
    SSL_set_options(ssl_, SSL_OP_ENABLE_KTLS);
}

/// What has to be out before OpenSSL goes on. Only where the kernel may send it needs to know.
bool Engine::is_flushed(BIO* bio) noexcept {
    BIO_clear_retry_flags(bio);
    if (kernel_ == nullptr || (complete_ && !kernel_sends_)) return true;
    if (output_.empty() && kernel_->is_flushed()) return true;
    waits_for_room_ = true;
    BIO_set_retry_write(bio);
    return false;
}

/// `crypto` begins as linux/tls.h says; the os room knows how it goes on.
bool Engine::give_keys(void* crypto) noexcept {
    if (kernel_ == nullptr || SSL_version(ssl_) != TLS1_3_VERSION) return false;
    kernel_sends_ = kernel_->start(*static_cast<const tls_crypto_info*>(crypto));
    return kernel_sends_;
}

/// What OpenSSL itself has to say. False: not yet, or never, and fail() will say why.
bool Engine::send_record(BIO* bio, std::span<const std::byte> content) {
    const bool handshaking = record_type_ == SSL3_RT_HANDSHAKE;
    if (handshaking && complete_) return false;  // an answer to a KeyUpdate: see read()
    const int error = kernel_->send_record(record_type_, content);
    if (error == 0) return true;
    if (error == EAGAIN) {
        waits_for_room_ = true;
        BIO_set_retry_write(bio);
    } else if (handshaking && (error == EPIPE || error == ECONNRESET)) {
        return true;  // nobody takes the tickets; what he sent before he went is there to be read
    } else {
        callback_error_ = make_system_error(error, "send a TLS record");
    }
    return false;
}

void Engine::on_message(int write, int, int type, const void*, std::size_t, SSL*, void* self) {
    auto& engine = *static_cast<Engine*>(self);
    if (write == 0 && type == SSL3_RT_HANDSHAKE && engine.complete_) ++engine.messages_;
}

void Engine::keep_session(SSL_SESSION* session) {
    try {
        state_->sessions.store(session_key_, session);
    } catch (...) {
        SSL_SESSION_free(session);
    }
}

int Engine::choose_context() {
    if (!server_side_) return SSL_TLSEXT_ERR_NOACK;
    const char* name = SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name);
    try {
        if (name != nullptr) server_hostname_ = name;
        if (!state_->on_server_name)
            return name != nullptr ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
        chosen_ = state_->on_server_name(server_hostname_);
        if (chosen_) SSL_set_SSL_CTX(ssl_, chosen_->native);
    } catch (...) {
        callback_error_ = std::current_exception();
        return SSL_TLSEXT_ERR_ALERT_FATAL;  // "unrecognized_name"
    }
    return SSL_TLSEXT_ERR_OK;
}

void Engine::keep_rest() noexcept {
    const std::span<const std::byte> rest = std::exchange(lent_, {});
    if (rest.empty()) return;
    try {
        kept_.append(rest);
    } catch (const std::bad_alloc&) {
        lost_input_ = true;
    }
}

// --- the machine -------------------------------------------------------------------------------

void Engine::fail(const char* doing) {
    if (callback_error_) {
        ERR_clear_error();
        std::rethrow_exception(std::exchange(callback_error_, nullptr));
    }
    const std::string what = server_hostname_.empty() || server_side_
                                 ? std::string(doing)
                                 : doing + (" with " + server_hostname_);
    const unsigned long code = ERR_peek_error();
    const long verified = SSL_get_verify_result(ssl_);
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
        throw_verification_error(what, static_cast<int>(verified));
    if (code == 0) throw_eof_error(what);
    throw_ssl_error(what);
}

/// OpenSSL can go on from here. A flush in vain in a handshake it takes for an error of the system
/// (its own BIO stands between and does not tell); so that is remembered here.
bool Engine::is_unfinished(int result) const noexcept {
    const int error = SSL_get_error(ssl_, result);
    return error == SSL_ERROR_WANT_READ || (waits_for_room_ && error != SSL_ERROR_SSL);
}

bool Engine::handshake() {
    if (complete_) return true;
    ERR_clear_error();
    waits_for_room_ = false;
    const int result = SSL_do_handshake(ssl_);
    if (result != 1) {
        if (is_unfinished(result)) return false;
        fail("TLS handshake");
    }
    waits_for_room_ = false;
    complete_ = true;
    return true;
}

std::size_t Engine::read(std::span<std::byte> memory) { return read_by(&SSL_read_ex, memory); }

void Engine::take_messages() {
    std::byte left_there = {};
    (void)read_by(&SSL_peek_ex, std::span(&left_there, 1));
}

std::size_t Engine::read_by(Reading reading, std::span<std::byte> memory) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result = reading(ssl_, memory.data(), memory.size(), &count);
    if (messages_ > kMessagesWithoutData) throw_flood_error("TLS read");
    if (kernel_sends_ && !said_goodbye() && SSL_get_key_update_type(ssl_) != SSL_KEY_UPDATE_NONE)
        throw_new_keys_error("TLS read");
    if (result == 1) {
        messages_ = 0;
        return count;
    }
    const int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN) return 0;
    if (suppress_ragged_eofs_ &&
        ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        SSL_set_shutdown(ssl_, SSL_get_shutdown(ssl_) | SSL_RECEIVED_SHUTDOWN);
        return 0;
    }
    fail("TLS read");
}

bool Engine::may_write() const noexcept { return SSL_in_init(ssl_) == 0; }

void Engine::write(std::span<const std::byte> plaintext) {
    if (plaintext.empty()) return;
    ERR_clear_error();
    std::size_t count = 0;
    if (SSL_write_ex(ssl_, plaintext.data(), plaintext.size(), &count) != 1) fail("TLS write");
}

bool Engine::said_goodbye() const noexcept {
    return (SSL_get_shutdown(ssl_) & SSL_SENT_SHUTDOWN) != 0;
}

void Engine::say_goodbye() {
    if (!may_write() || (said_goodbye() && !waits_for_room_)) return;
    ERR_clear_error();
    waits_for_room_ = false;
    const int result = SSL_shutdown(ssl_);
    if (result < 0 && !is_unfinished(result)) fail("TLS shutdown");
    waits_for_room_ = result < 0;
}

bool Engine::shutdown() {
    const bool said_before = said_goodbye();
    say_goodbye();
    std::byte dropped[1024];
    while (!peer_closed() && read(dropped) > 0) continue;
    say_goodbye();
    if (said_before) output_.clear();  // answers to whatever: nobody wants them after a goodbye
    return peer_closed() && !waits_for_room_;
}

void Engine::update_keys() {
    if (SSL_version(ssl_) < TLS1_3_VERSION)
        throw std::logic_error("only TLS 1.3 can renew its keys");
    if (kernel_sends_) throw std::logic_error("the kernel's TLS cannot renew its keys");
    ERR_clear_error();
    if (SSL_key_update(ssl_, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(ssl_) != 1)
        fail("TLS key update");
}

bool Engine::peer_closed() const noexcept {
    return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
}

// --- what it tells of itself -------------------------------------------------------------------

std::string_view Engine::version() const { return SSL_get_version(ssl_); }

ssl::Cipher Engine::cipher() const {
    const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_);
    if (cipher == nullptr) return {};
    return {SSL_CIPHER_get_name(cipher), SSL_CIPHER_get_version(cipher),
            SSL_CIPHER_get_bits(cipher, nullptr)};
}

std::optional<ssl::Certificate> Engine::getpeercert() const {
    X509* certificate = SSL_get0_peer_certificate(ssl_);
    if (certificate == nullptr) return std::nullopt;
    return decode(certificate);
}

std::string_view Engine::selected_alpn_protocol() const {
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_, &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

std::string_view Engine::server_hostname() const { return server_hostname_; }

bool Engine::session_reused() const { return SSL_session_reused(ssl_) == 1; }

}  // namespace asyncio::tls
