// SPDX-License-Identifier: MIT
#include <asyncio/tls/certificate.hpp>

#include <ctime>
#include <memory>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

namespace asyncio::tls {

namespace {

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* object) const noexcept {
        Free(object);
    }
};

using Bio = std::unique_ptr<BIO, Freed<&BIO_free_all>>;

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<std::size_t>(size));
}

std::string name_of(const X509_NAME* name) {
    const Bio bio(BIO_new(BIO_s_mem()));
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    return text_of(bio.get());
}

std::string string_of(const ASN1_STRING* string) {
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, string);
    if (size < 0) return {};
    std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
    OPENSSL_free(utf8);
    return text;
}

std::string common_name_of(const X509_NAME* name) {
    const int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (index < 0) return {};
    return string_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
}

std::string address_of(const ASN1_OCTET_STRING* address) {
    const unsigned char* bytes = ASN1_STRING_get0_data(address);
    const int size = ASN1_STRING_length(address);
    std::string text;
    char part[8];
    if (size == 4) {
        for (int i = 0; i < 4; ++i)
            text += (i > 0 ? "." : "") + std::to_string(static_cast<int>(bytes[i]));
    } else if (size == 16) {
        for (int i = 0; i < 16; i += 2) {
            std::snprintf(part, sizeof part, "%s%x", i > 0 ? ":" : "",
                          bytes[i] << 8 | bytes[i + 1]);
            text += part;
        }
    }
    return text;
}

std::vector<std::string> alternative_names(const X509* certificate) {
    std::vector<std::string> names;
    const std::unique_ptr<GENERAL_NAMES, Freed<&GENERAL_NAMES_free>> all(
        static_cast<GENERAL_NAMES*>(
            X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; all && i < sk_GENERAL_NAME_num(all.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
        switch (name->type) {
            case GEN_DNS:
                names.push_back("DNS:" + string_of(name->d.dNSName));
                break;
            case GEN_EMAIL:
                names.push_back("email:" + string_of(name->d.rfc822Name));
                break;
            case GEN_URI:
                names.push_back("URI:" + string_of(name->d.uniformResourceIdentifier));
                break;
            case GEN_IPADD:
                names.push_back("IP:" + address_of(name->d.iPAddress));
                break;
            default:
                break;  // kinds nobody checks
        }
    }
    return names;
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* time) {
    std::tm broken{};
    ASN1_TIME_to_tm(time, &broken);
    return std::chrono::system_clock::from_time_t(::timegm(&broken));
}

std::string serial_of(const X509* certificate) {
    const std::unique_ptr<BIGNUM, Freed<&BN_free>> number(
        ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    char* hex = number ? BN_bn2hex(number.get()) : nullptr;
    std::string text = hex != nullptr ? hex : "";
    OPENSSL_free(hex);
    return text;
}

std::string fingerprint_of(const X509* certificate) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    X509_digest(certificate, EVP_sha256(), digest, &size);
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
        text += kDigits[digest[i] >> 4];
        text += kDigits[digest[i] & 15];
    }
    return text;
}

std::string der_of(const X509* certificate) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    if (size < 0) return {};
    std::string bytes(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    return bytes;
}

}  // namespace

ssl::Certificate decode(const X509* certificate) {
    const X509_NAME* subject = X509_get_subject_name(certificate);
    ssl::Certificate decoded;
    decoded.subject = name_of(subject);
    decoded.issuer = name_of(X509_get_issuer_name(certificate));
    decoded.common_name = common_name_of(subject);
    decoded.subject_alt_names = alternative_names(certificate);
    decoded.serial_number = serial_of(certificate);
    decoded.not_before = time_of(X509_get0_notBefore(certificate));
    decoded.not_after = time_of(X509_get0_notAfter(certificate));
    decoded.fingerprint = fingerprint_of(certificate);
    decoded.der = der_of(certificate);
    return decoded;
}

}  // namespace asyncio::tls
