// SPDX-License-Identifier: MIT
//
// Authority: a certificate authority that lives as long as a test. Keys are made at run time, so
// that no private key is in the repository and no certificate ever expires.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace asyncio::tls_tests {

struct Credentials {
    std::string certificate;  // PEM
    std::string key;          // PEM
};

struct CertificateRequest {
    std::string common_name = "localhost";
    std::string alternative_names = "DNS:localhost,IP:127.0.0.1,IP:::1";
    long valid_from = -3600;   // seconds from now
    long valid_until = 86400;  // seconds from now
    bool authority = false;
    std::string password = {};
};

class Authority {
  public:
    Authority() : key_(make_key()) {
        const CertificateRequest request{
            .common_name = "test authority", .alternative_names = "", .authority = true};
        certificate_ = make_certificate(request, key_.get());
    }

    /// PEM
    std::string certificate() const { return pem(certificate_.get()); }

    Credentials issue(const CertificateRequest& request = CertificateRequest()) const {
        const Key key = make_key();
        const Certificate certificate = make_certificate(request, key.get());
        return {pem(certificate.get()), pem(key.get(), request.password)};
    }

  private:
    struct Free {
        void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
        void operator()(X509* certificate) const { X509_free(certificate); }
        void operator()(BIO* bio) const { BIO_free(bio); }
    };
    using Key = std::unique_ptr<EVP_PKEY, Free>;
    using Certificate = std::unique_ptr<X509, Free>;

    static Key make_key() { return Key(EVP_EC_gen("P-256")); }

    static std::string text_of(BIO* bio) {
        char* data = nullptr;
        const long size = BIO_get_mem_data(bio, &data);
        return std::string(data, static_cast<std::size_t>(size));
    }
    static std::string pem(X509* certificate) {
        const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
        PEM_write_bio_X509(bio.get(), certificate);
        return text_of(bio.get());
    }
    static std::string pem(EVP_PKEY* key, const std::string& password) {
        const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
        const auto* secret = reinterpret_cast<const unsigned char*>(password.data());
        PEM_write_bio_PKCS8PrivateKey(
            bio.get(), key, password.empty() ? nullptr : EVP_aes_128_cbc(),
            password.empty() ? nullptr : reinterpret_cast<const char*>(secret),
            static_cast<int>(password.size()), nullptr, nullptr);
        return text_of(bio.get());
    }
    static void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
        X509V3_CTX context;
        X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
        if (extension == nullptr) throw std::runtime_error("no certificate extension " + value);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }

    Certificate make_certificate(const CertificateRequest& request, EVP_PKEY* key) const {
        static long serial = 1;
        Certificate made(X509_new());
        X509* certificate = made.get();
        X509* issuer = request.authority ? certificate : certificate_.get();
        X509_set_version(certificate, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
        X509_gmtime_adj(X509_getm_notBefore(certificate), request.valid_from);
        X509_gmtime_adj(X509_getm_notAfter(certificate), request.valid_until);
        X509_set_pubkey(certificate, key);
        const auto* name = reinterpret_cast<const unsigned char*>(request.common_name.c_str());
        X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, name,
                                   -1, -1, 0);
        X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
        extend(certificate, issuer, NID_subject_key_identifier, "hash");
        if (request.authority) {
            extend(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
            extend(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
        } else {
            extend(certificate, issuer, NID_authority_key_identifier, "keyid");
        }
        if (!request.alternative_names.empty())
            extend(certificate, issuer, NID_subject_alt_name, request.alternative_names);
        if (X509_sign(certificate, key_.get(), EVP_sha256()) == 0)
            throw std::runtime_error("cannot sign a certificate");
        return made;
    }

    Key key_;
    Certificate certificate_;
};

}  // namespace asyncio::tls_tests
