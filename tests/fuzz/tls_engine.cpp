// SPDX-License-Identifier: MIT
//
// tls::Engine: a client and a server, and between them somebody who cuts, repeats, swaps, alters
// and invents bytes as the input says. Whatever happens, what one reads is the beginning of what
// the other wrote; an engine that failed gives nothing more; nobody's output grows without bound.
//
// covers: tls/engine.hpp tls/engine.cpp tls/session_cache.hpp tls/session_cache.cpp tls/error.cpp
#include <asyncio/tls/error.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <optional>

#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;
using tls::Engine;
using tls_tests::bytes_of;
using tls_tests::SSLContext;

struct Contexts {
    SSLContext client[2] = {of_client(ssl::TLSVersion::TLSv1_2),
                            of_client(ssl::TLSVersion::TLSv1_3)};
    SSLContext server = tls_tests::server_context();

    static SSLContext of_client(ssl::TLSVersion most) {
        SSLContext context = tls_tests::client_context();
        context.maximum_version = most;
        context.set_alpn_protocols({"fuzz", "h2"});
        return context;
    }
};

Contexts& contexts() {
    static Contexts instance;
    return instance;
}

/// One end, and its books.
struct End {
    End(const SSLContext& context, bool server)
        : engine(context, server, server ? "" : "localhost") {}

    Engine engine;
    std::string wire;     // on its way to this end
    std::string written;  // by this end
    std::string read;
    bool failed = false;
    bool said_goodbye = false;
};

class Script {
  public:
    Script(Input& input, size_t options)
        : input_(input),
          client_(contexts().client[options & 1], false),
          server_(contexts().server, true) {
        if ((options & 2) != 0) shake_hands();
    }

    void run() {
        for (int steps = 0; !input_.empty() && steps < 300; ++steps) {
            const bool from_client = input_.chance();
            End& one = from_client ? client_ : server_;
            step(one, from_client ? server_ : client_);
            check(client_, server_);
            check(server_, client_);
        }
        ask(client_);
        ask(server_);
    }

  private:
    void shake_hands() {
        for (int i = 0; i < 6; ++i) {
            guarded(client_, [&] { client_.engine.handshake(); });
            carry(client_, server_);
            deliver(server_, server_.wire.size());
            carry(server_, client_);
            deliver(client_, client_.wire.size());
        }
        FUZZ_CHECK(client_.engine.handshake_complete() && server_.engine.handshake_complete());
    }

    void step(End& one, End& other) {
        switch (input_.below(10)) {
            case 0:
                guarded(one, [&] { one.engine.handshake(); });
                break;
            case 1:
            case 2:
                carry(one, other);
                break;
            case 3:
                deliver(one, 1 + input_.number(2) % 1500);
                break;
            case 4:
                deliver(one, one.wire.size());
                break;
            case 5:
                tamper(one.wire);
                break;
            case 6:
                write(one);
                break;
            case 7:
                if (one.engine.handshake_complete() && !one.failed) {
                    guarded(one, [&] { one.engine.shutdown(); });
                    one.said_goodbye = true;
                }
                break;
            case 8:
                if (input_.below(4) == 3) one.engine.end_input();
                break;
            default:
                renew(one);
        }
    }

    /// What an engine may throw, and then it has failed.
    template <class F>
    void guarded(End& end, F&& work) {
        if (end.failed) return;
        try {
            work();
        } catch (const ssl::SSLError&) {
            end.failed = true;
        }
    }
    static void carry(End& from, End& to) {
        to.wire += from.engine.output().take(from.engine.output().size());
    }
    void deliver(End& to, size_t count) {
        const std::string bytes = to.wire.substr(0, count);
        to.wire.erase(0, count);
        const Engine::Input lend(to.engine, bytes_of(bytes));
        guarded(to, [&] {
            if (!to.engine.handshake() || to.said_goodbye) return;
            std::byte memory[1000];
            const std::span<std::byte> room = std::span(memory).first(1 + input_.below(200) * 5);
            while (const size_t got = to.engine.read(room))
                to.read.append(reinterpret_cast<const char*>(memory), got);
        });
    }
    void write(End& one) {
        const bool may = one.engine.handshake_complete() && one.engine.may_write() &&
                         !one.said_goodbye && !one.failed;
        if (!may) return;
        const std::string text(input_.below(256) * (input_.below(8) == 7 ? 100 : 1), 'x');
        std::string numbered;
        for (const char c : text)
            numbered += static_cast<char>(
                c + static_cast<char>((one.written.size() + numbered.size()) % 91));
        guarded(one, [&] {
            one.engine.write(bytes_of(numbered));
            one.written += numbered;
        });
    }
    void renew(End& one) {
        const bool may = one.engine.handshake_complete() && one.engine.may_write() &&
                         !one.said_goodbye && !one.failed;
        if (!may) return;
        try {
            guarded(one, [&] { one.engine.update_keys(); });
        } catch (const std::logic_error&) {
            FUZZ_CHECK(one.engine.version() == "TLSv1.2");
        }
    }

    void tamper(std::string& wire) {
        const size_t at = wire.empty() ? 0 : input_.number(2) % wire.size();
        const size_t count = 1 + input_.below(64);
        switch (input_.below(7)) {
            case 0:
                if (!wire.empty()) wire[at] = static_cast<char>(wire[at] ^ (1 << input_.below(8)));
                break;
            case 1:
                wire.erase(at, count);
                break;
            case 2:
                wire.insert(at, wire.substr(at, count));
                break;
            case 3:
                wire.insert(at, input_.text(count));
                break;
            case 4: {  // a record of any kind
                const std::string_view body = input_.text(count);
                std::string record = {static_cast<char>(20 + input_.below(6)), 3, 3, 0,
                                      static_cast<char>(body.size())};
                wire.insert(0, record.append(body));
                break;
            }
            case 5:
                swap_records(wire);
                break;
            default:
                old_ += wire.substr(0, 4000 - std::min<size_t>(old_.size(), 4000));
                if (input_.chance()) wire += old_;
        }
    }
    static size_t record_size(std::string_view wire) {
        if (wire.size() < 5) return wire.size();
        const size_t body = static_cast<size_t>(static_cast<unsigned char>(wire[3])) << 8 |
                            static_cast<unsigned char>(wire[4]);
        return std::min(wire.size(), body + 5);
    }
    static void swap_records(std::string& wire) {
        const std::string first = wire.substr(0, record_size(wire));
        wire.erase(0, first.size());
        wire.insert(record_size(wire), first);
    }

    void check(const End& reader, const End& writer) const {
        FUZZ_CHECK(writer.written.starts_with(reader.read));
        FUZZ_CHECK(const_cast<End&>(reader).engine.output().size() < 3'000'000);
    }
    static void ask(End& end) {
        if (!end.engine.handshake_complete()) return;
        FUZZ_CHECK(end.engine.version().starts_with("TLSv1."));
        (void)end.engine.cipher();
        (void)end.engine.selected_alpn_protocol();
        (void)end.engine.session_reused();
        FUZZ_CHECK(end.engine.getpeercert().has_value() == !end.engine.server_side());
    }

    Input& input_;
    End client_;
    End server_;
    std::string old_;  // replayed
};

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(tls_engine) {
    const std::size_t options = input.byte();
    asyncio::fuzz::Script script(input, options);
    script.run();
}
