// SPDX-License-Identifier: MIT
//
// Engine: one side of one TLS connection, as a machine over bytes. No socket, no loop, no clock.
//
//     ciphertext of the peer --> Input --> handshake(), read() --> plaintext
//     plaintext --> write() --> output() --> ciphertext for the peer
//
//                handshake() true            shutdown()
//   handshaking ------------------> open ------------------> shutting
//        |                           |  peer's close_notify     |
//        |                           '--> peer_closed() <-------'
//        '------ any throw ------> failed: nothing but output() (the alert) makes sense
//
// OpenSSL works on a BIO of our own: it takes what it needs straight from the memory the caller
// received into, and only what is left (a reader that pauses) is kept; what it writes gathers in
// output(). So an idle engine holds no buffers: OpenSSL gives back its own between records.
// Memory BIOs were rejected: they keep a block a direction for good, and copy once more.
//
// Truncation. The end of the input without close_notify is an SSLEOFError out of read(), never an
// end of stream; unless the context says suppress_ragged_eofs.
//
// After the handshake a peer may go on with it between data: renew its keys, give tickets, ask in
// vain for a new handshake. But not more than kMessagesWithoutData times in a row: each costs us
// work, and nothing it. While such a message has come in part OpenSSL cannot write (may_write()).
//
// The kernel's TLS (offer_kernel()). OpenSSL itself decides, in the handshake, when to give the
// keys to send with away, and asks its BIO to do it: by two commands for BIOs that openssl/bio.h
// numbers, but does not define. From then on write() and output() are out of use: data go to the
// system as they are, and only OpenSSL's own messages (tickets, alerts) still come here, each to
// become a record of its type. For all that the way must be clear: what came before has to be with
// the system. Until it is OpenSSL is told to come again, and waits_for_room() is true. TLS 1.3
// only: in 1.2 the keys change in the middle of a flight. The system cannot change keys, so a peer
// that asks for new ones (KeyUpdate) gets an error, unless we have said goodbye. To derive the keys
// here and to count the records was rejected: it is OpenSSL's business, and done there.
//
// Errors: SSLError. Threads: one.
#pragma once

#include <asyncio/stream/buffer.hpp>
#include <asyncio/stream/kernel_tls.hpp>
#include <asyncio/stream/ssl_object.hpp>
#include <asyncio/tls/context_state.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <string>

struct bio_st;
struct bio_method_st;
struct ssl_session_st;

namespace asyncio::ssl {
class SSLContext;
}

namespace asyncio::tls {

class Engine final : public ssl::SSLObject {
  public:
    static constexpr int kMessagesWithoutData = 256;
    /// What one read() can give at most.
    static constexpr std::size_t kRecord = 16384;

    /// `server_hostname`: client: the name or address to ask for and to check; empty: neither.
    Engine(const ssl::SSLContext& context, bool server_side, std::string server_hostname);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;
    ~Engine();

    /// Let the kernel encrypt what is sent, if it and the connection are made for it; see above.
    /// Before the handshake. `kernel` outlives the use of this engine.
    void offer_kernel(stream::KernelTls& kernel) noexcept;
    /// What handshake() or shutdown() did not finish goes on when the output is sent and there is
    /// room in the system; call it again then.
    bool waits_for_room() const noexcept { return waits_for_room_; }

    /// Lends `ciphertext` to the engine; on leaving the scope, what was not used is kept.
    class Input {
      public:
        Input(Engine& engine, std::span<const std::byte> ciphertext) : engine_(engine) {
            engine_.lent_ = ciphertext;
        }
        Input(const Input&) = delete;
        Input& operator=(const Input&) = delete;
        ~Input() { engine_.keep_rest(); }

      private:
        Engine& engine_;
    };
    /// There was no memory for what was not used: the stream has a hole.
    bool lost_input() const noexcept { return lost_input_; }
    /// The connection below has ended: after the input comes nothing more.
    void end_input() noexcept { input_ended_ = true; }

    /// As far as input and room allow; true once complete. The certificate has been checked then.
    bool handshake();
    /// Decrypts into `memory`, at most a record; 0: needs input, or peer_closed().
    std::size_t read(std::span<std::byte> memory);
    /// Takes what the peer says about the connection itself, and leaves its data to read().
    void take_messages();
    /// False while a message of the peer's about the connection itself is incomplete: needs input.
    bool may_write() const noexcept;
    /// REQUIRES: the handshake is complete, may_write(), not ktls_send(), and no shutdown().
    void write(std::span<const std::byte> plaintext);
    /// close_notify into the output or to the kernel, as soon as it may write. True once it is out
    /// and the peer's has come, too; what else that sent is dropped, and no more answered. Call
    /// again when there is input.
    bool shutdown();
    /// Renew the keys, and ask the peer to do so. TLS 1.3 only: else std::logic_error.
    void update_keys();

    bool handshake_complete() const noexcept { return complete_; }
    /// The peer's close_notify came: it sends no more.
    bool peer_closed() const noexcept;
    /// To be sent, and cleared by whoever sent it.
    stream::Buffer& output() noexcept { return output_; }
    bool has_input() const noexcept { return !kept_.empty(); }

    bool server_side() const noexcept override { return server_side_; }
    std::string_view version() const override;
    ssl::Cipher cipher() const override;
    std::optional<ssl::Certificate> getpeercert() const override;
    std::string_view selected_alpn_protocol() const override;
    std::string_view server_hostname() const override;
    bool session_reused() const override;
    bool ktls_send() const noexcept override { return kernel_sends_; }

  private:
    friend struct ContextState;  // its callbacks

    static bio_method_st* bio_method();
    static int bio_write(bio_st* bio, const char* data, std::size_t size, std::size_t* written);
    static int bio_read(bio_st* bio, char* data, std::size_t size, std::size_t* taken);
    static long bio_control(bio_st* bio, int command, long number, void* pointer);
    static void on_message(int write, int version, int type, const void* data, std::size_t size,
                           ssl_st* ssl, void* self);
    static Engine& of(const ssl_st* ssl) noexcept;

    bool send_record(bio_st* bio, std::span<const std::byte> content);
    bool is_flushed(bio_st* bio) noexcept;
    bool give_keys(void* crypto) noexcept;
    void set_up(const ssl::SSLContext& context);
    void ask_for_name();
    void resume_session();
    void keep_rest() noexcept;
    bool lost_input_ = false;
    void keep_session(ssl_session_st* session);
    int choose_context();
    using Reading = int (*)(ssl_st* ssl, void* memory, std::size_t size, std::size_t* count);
    std::size_t read_by(Reading reading, std::span<std::byte> memory);
    bool is_unfinished(int result) const noexcept;
    bool said_goodbye() const noexcept;
    void say_goodbye();
    [[noreturn]] void fail(const char* doing);

    Shared<ContextState> state_;
    Shared<ContextState> chosen_;  // by the name the client asked for
    ssl_st* ssl_;
    std::span<const std::byte> lent_;
    stream::Buffer kept_;
    stream::Buffer output_;
    std::string server_hostname_;
    std::string session_key_;
    std::exception_ptr callback_error_;
    stream::KernelTls* kernel_ = nullptr;  // if it may send
    int messages_ = 0;              // of the peer about the connection itself, since its last data
    std::uint8_t record_type_ = 0;  // of what OpenSSL writes next, for the kernel; 0: data
    bool kernel_sends_ = false;
    bool waits_for_room_ = false;
    bool server_side_;
    bool input_ended_ = false;
    bool complete_ = false;
    bool suppress_ragged_eofs_;
};

}  // namespace asyncio::tls
