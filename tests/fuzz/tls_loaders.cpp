// SPDX-License-Identifier: MIT
//
// What an SSLContext loads: certificate chains, keys and trusted certificates as PEM and DER, with
// pieces cut, repeated and altered as the input says (keys are made at the start: none is in the
// corpus); cipher lists and protocol names; and what a certificate says, decoded.
// Errors are SSLError or std::invalid_argument; nothing is half loaded and called good.
//
// covers: tls/context.cpp tls/context_state.cpp tls/certificate.cpp
#include <asyncio/tls/certificate.hpp>
#include <asyncio/tls/error.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <system_error>
#include <vector>

#include <openssl/err.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;
using tls_tests::SSLContext;

struct Texts {
    tls_tests::Credentials own = tls_tests::authority().issue(
        {.alternative_names = "DNS:localhost,IP:127.0.0.1,IP:::1,email:a@b.c,URI:http://x/"});
    tls_tests::Credentials secret = tls_tests::authority().issue({.password = "secret"});
    std::string trusted = tls_tests::authority().certificate();
    std::string der = der_of(own.certificate);

    static std::string der_of(const std::string& pem) {
        BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
        X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
        BIO_free(bio);
        unsigned char* bytes = nullptr;
        const int size = i2d_X509(certificate, &bytes);
        X509_free(certificate);
        const std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
        OPENSSL_free(bytes);
        return der;
    }
};

const Texts& texts() {
    static const Texts instance;
    return instance;
}

/// `text`, altered.
std::string edited(Input& input, std::string text) {
    for (size_t edits = input.below(4); edits > 0; --edits) {
        const size_t at = text.empty() ? 0 : input.number(2) % text.size();
        const size_t count = 1 + input.below(100);
        switch (input.below(5)) {
            case 0:
                text.erase(at, count);
                break;
            case 1:
                text.insert(at, text.substr(input.number(2) % (text.size() + 1), count));
                break;
            case 2:
                if (!text.empty()) text[at] = static_cast<char>(input.byte());
                break;
            case 3:
                text.insert(at, input.text(count));
                break;
            default:
                text.resize(at);
        }
    }
    return text;
}

std::string some_text(Input& input) {
    const std::string* const all[] = {
        &texts().own.certificate, &texts().own.key, &texts().secret.certificate,
        &texts().secret.key,      &texts().trusted, &texts().der};
    std::string text = edited(input, *all[input.below(6)]);
    if (input.below(4) == 3) text += edited(input, *all[input.below(6)]);
    return text;
}

/// True if it was taken.
template <class F>
bool tried(F&& load) {
    try {
        load();
        return true;
    } catch (const ssl::SSLError&) {
    } catch (const std::invalid_argument&) {
    }
    return false;
}

/// In memory, with a name.
class FileOf {
  public:
    explicit FileOf(std::string_view text) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
        FUZZ_CHECK(::write(fd_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    FileOf(const FileOf&) = delete;
    FileOf& operator=(const FileOf&) = delete;
    ~FileOf() { ::close(fd_); }
    std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

  private:
    int fd_;
};

void load_chain(Input& input) {
    SSLContext context;
    const bool plain = input.chance();
    const auto& from = plain ? texts().own : texts().secret;
    const std::string chain = input.chance() ? edited(input, from.certificate) : some_text(input);
    const std::string key = input.chance() ? edited(input, from.key) : some_text(input);
    const std::string password = input.chance() ? "secret" : std::string(input.text(3));
    const bool taken = tried([&] { context.load_cert_chain_data(chain, key, password); });
    const FileOf chain_file(chain), key_file(key);
    SSLContext other;
    FUZZ_CHECK(taken ==
               tried([&] { other.load_cert_chain(chain_file.path(), key_file.path(), password); }));
    if (chain == from.certificate && key == from.key)
        FUZZ_CHECK(taken == (plain || password == "secret"));
}

void load_trust(Input& input) {
    SSLContext context;
    const std::string data = input.chance() ? std::string(input.rest()) : some_text(input);
    const bool taken = tried([&] { context.load_verify_locations({.cadata = data}); });
    if (data == texts().trusted || data == texts().der) FUZZ_CHECK(taken);
    const FileOf file(data);
    const bool from_file = tried([&] {
        (void)ssl::create_default_context(ssl::Purpose::CLIENT_AUTH, {.cafile = file.path()});
    });
    if (data == texts().trusted) FUZZ_CHECK(from_file);
    const bool by_default = tried(
        [&] { (void)ssl::create_default_context(ssl::Purpose::SERVER_AUTH, {.cadata = data}); });
    FUZZ_CHECK(data.empty() || by_default == taken);  // without data: the system's
    try {
        context.load_verify_locations("/no/such/file");
        FUZZ_CHECK(false);
    } catch (const std::system_error&) {
    }
    if (data.size() < 100) FUZZ_CHECK(!taken);
}

void decode(Input& input) {
    const std::string der = edited(input, texts().der);
    const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
    X509* certificate = d2i_X509(nullptr, &bytes, static_cast<long>(der.size()));
    ERR_clear_error();
    if (certificate == nullptr) return;
    const ssl::Certificate decoded = tls::decode(certificate);
    X509_free(certificate);
    ERR_clear_error();
    FUZZ_CHECK(decoded.fingerprint.size() == 64);
    if (der != texts().der) return;
    FUZZ_CHECK(decoded.common_name == "localhost" && decoded.subject_alt_names.size() == 5);
    FUZZ_CHECK(decoded.der == der && decoded.not_before < decoded.not_after);
}

void set_names(Input& input) {
    SSLContext context;
    std::vector<std::string> protocols;
    for (size_t n = input.below(4); n > 0; --n)
        protocols.emplace_back(input.text(input.below(256) + (input.below(16) == 15 ? 50 : 0)));
    const bool fine = std::all_of(protocols.begin(), protocols.end(), [](const std::string& name) {
        return !name.empty() && name.size() < 256;
    });
    FUZZ_CHECK(tried([&] { context.set_alpn_protocols(protocols); }) == fine);
    const std::string names(input.rest());
    (void)tried([&] { context.set_ciphers(names); });
    (void)tried([&] { context.set_ciphersuites(names); });
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(tls_loaders) {
    using namespace asyncio::fuzz;
    switch (input.below(4)) {
        case 0:
            return load_chain(input);
        case 1:
            return load_trust(input);
        case 2:
            return decode(input);
        default:
            set_names(input);
    }
}
