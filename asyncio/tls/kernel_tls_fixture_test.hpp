// SPDX-License-Identifier: MIT
//
// FakeKernelTls: what a kernel with TLS does to what is sent, in user space: records as RFC 8446
// 5.2 has them, from the keys and the record number that it is given. With room or without, and
// failing where it is told to.
#pragma once

#include <asyncio/loop/event_loop.hpp>
#include <asyncio/stream/kernel_tls.hpp>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <linux/tls.h>
#include <openssl/evp.h>

namespace asyncio::tls_tests {

/// The sending half of a TLS 1.3 connection.
class RecordMaker {
  public:
    explicit RecordMaker(const tls_crypto_info& crypto) {
        if (crypto.version != TLS_1_3_VERSION) throw std::invalid_argument("not TLS 1.3");
        switch (crypto.cipher_type) {
            case TLS_CIPHER_AES_GCM_128:
                cipher_ = EVP_aes_128_gcm();
                take(reinterpret_cast<const tls12_crypto_info_aes_gcm_128&>(crypto));
                break;
            case TLS_CIPHER_AES_GCM_256:
                cipher_ = EVP_aes_256_gcm();
                take(reinterpret_cast<const tls12_crypto_info_aes_gcm_256&>(crypto));
                break;
            case TLS_CIPHER_CHACHA20_POLY1305:
                cipher_ = EVP_chacha20_poly1305();
                take(reinterpret_cast<const tls12_crypto_info_chacha20_poly1305&>(crypto));
                break;
            default:
                throw std::invalid_argument("a cipher this kernel does not know");
        }
    }

    /// Records of `type` for all of `content`.
    std::string seal(std::uint8_t type, std::string_view content) {
        std::string records;
        do records += seal_one(type, content.substr(0, kMost));
        while (content.remove_prefix(std::min(kMost, content.size())), !content.empty());
        return records;
    }

  private:
    static constexpr std::size_t kMost = 16384;
    static constexpr int kTag = 16;

    template <class Crypto>
    void take(const Crypto& crypto) {
        key_.assign(reinterpret_cast<const char*>(crypto.key), sizeof crypto.key);
        iv_.assign(reinterpret_cast<const char*>(crypto.salt), sizeof crypto.salt);
        iv_.append(reinterpret_cast<const char*>(crypto.iv), sizeof crypto.iv);
        for (const unsigned char byte : crypto.rec_seq) number_ = number_ << 8 | byte;
    }

    std::string seal_one(std::uint8_t type, std::string_view content) {
        const std::string inner = std::string(content) + static_cast<char>(type);
        const auto size = static_cast<unsigned>(inner.size() + kTag);
        std::string record{'\x17', '\x03', '\x03', static_cast<char>(size >> 8),
                           static_cast<char>(size)};
        std::string nonce = iv_;
        for (unsigned i = 0; i < 8; ++i)
            nonce[nonce.size() - 1 - i] ^= static_cast<char>(number_ >> (8 * i));
        ++number_;
        record += encrypt(nonce, record, inner);
        return record;
    }

    std::string encrypt(const std::string& nonce, const std::string& header,
                        const std::string& text) const {
        const auto bytes = [](const std::string& s) {
            return reinterpret_cast<const unsigned char*>(s.data());
        };
        std::string sealed(text.size() + kTag, '\0');
        auto* const out = reinterpret_cast<unsigned char*>(sealed.data());
        EVP_CIPHER_CTX* const context = EVP_CIPHER_CTX_new();
        int size = 0;
        const int length = static_cast<int>(text.size());
        const bool ok =
            EVP_EncryptInit_ex(context, cipher_, nullptr, bytes(key_), bytes(nonce)) == 1 &&
            EVP_EncryptUpdate(context, nullptr, &size, bytes(header),
                              static_cast<int>(header.size())) == 1 &&
            EVP_EncryptUpdate(context, out, &size, bytes(text), length) == 1 &&
            EVP_EncryptFinal_ex(context, out + length, &size) == 1 &&
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTag, out + length) == 1;
        EVP_CIPHER_CTX_free(context);
        if (!ok) throw std::runtime_error("a record could not be encrypted");
        return sealed;
    }

    const EVP_CIPHER* cipher_ = nullptr;
    std::string key_;
    std::string iv_;
    std::uint64_t number_ = 0;
};

/// What FakeKernelTls is on.
class RecordCarrier {
  public:
    virtual bool holds_bytes() const noexcept = 0;
    virtual void carry(std::string_view bytes) = 0;

  protected:
    ~RecordCarrier() = default;
};

class FakeKernelTls final : public stream::KernelTls {
  public:
    explicit FakeKernelTls(RecordCarrier& below) : below_(below) {}

    bool is_supported() const noexcept override { return supported; }
    bool is_flushed() const noexcept override { return !below_.holds_bytes(); }
    bool start(const tls_crypto_info& crypto) noexcept override {
        if (!accepts_keys) return false;
        maker.emplace(crypto);
        return true;
    }
    int send_record(std::uint8_t type, std::span<const std::byte> content) noexcept override {
        if (error != 0) return error;
        types += type == 21 ? 'a' : type == 22 ? 'h' : '?';
        below_.carry(
            maker->seal(type, {reinterpret_cast<const char*>(content.data()), content.size()}));
        return 0;
    }
    void when_room(UniqueFunction<void()> call) override {
        ++waits;
        if (over_) return;
        call_ = std::move(call);
        look();
    }
    /// Something has changed: call who waits if there is room now.
    void look() {
        if (!call_ || !is_flushed() || error == EAGAIN) return;
        get_running_loop().call_soon([call = std::exchange(call_, nullptr)]() mutable { call(); });
    }
    /// The connection has ended.
    void forget() noexcept {
        over_ = true;
        call_ = nullptr;
    }

    bool supported = true;
    bool accepts_keys = true;
    int error = 0;      // of send_record(); EAGAIN: no room
    int waits = 0;      // for room
    std::string types;  // of the records sent: 'a'lert, 'h'andshake
    std::optional<RecordMaker> maker;

  private:
    RecordCarrier& below_;
    UniqueFunction<void()> call_;
    bool over_ = false;
};

}  // namespace asyncio::tls_tests
