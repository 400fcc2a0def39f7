// SPDX-License-Identifier: MIT
//
// A chat room over TCP lines: one task a client, one thread, no locks. A destructor where Python
// has a finally, one place where mistakes become messages, bounded outboxes, an end with a
// deadline.
//
//     ./dev demo --port 8888        build and run it
//     nc 127.0.0.1 8888             in as many terminals as you like; /help tells the rest
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <bit>
#include <cctype>
#include <csignal>
#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;

constexpr std::size_t kMaxLine = 8 << 10;    // bytes, without the line's end
constexpr std::size_t kMaxName = 32;         // bytes
constexpr std::size_t kMaxOutbox = 1 << 20;  // bytes a client may leave unread
constexpr std::size_t kTurn = 1 << 10;       // bytes one may say before all outboxes are flushed
constexpr auto kFarewell = 500ms;            // for the last lines to get out
constexpr auto kHelp = "-- /nick NAME, /me ACTION, /who, /help, /quit; all else is said aloud";

/// What a client did wrong. It is told; nobody else is.
struct Complaint : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void check_text(std::string_view text) {
    constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // by length in bytes
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i++]);
        const int length = std::countl_one(lead);  // 0: ASCII; 1: not the first byte of anything
        char32_t c = lead & (0x7Fu >> length);
        int missing = std::max(0, length - 1);
        for (; missing > 0 && i < text.size() && (text[i] & 0xC0) == 0x80; --missing)
            c = c << 6 | (text[i++] & 0x3Fu);
        if (missing > 0 || length == 1 || length > 4 || c < kLeast[length] ||
            (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF)  // surrogates; beyond Unicode
            throw Complaint("that is not valid UTF-8, so nobody got it");
        if (c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x2028 && c <= 0x202E))
            throw Complaint("there are control characters in that, so nobody got it");
    }
}

class Client;
using Room = std::map<std::string, Client*>;  // who is here, by name

/// Somebody in the room, from construction to destruction.
class Client {
  public:
    Client(Room& room, asyncio::StreamWriter& writer) : room_(room), writer_(writer) {
        auto number = room_.size();
        do name_ = "guest-" + std::to_string(++number);
        while (!room_.try_emplace(name_, this).second);
        tell("-- welcome, " + name_ + "; try /help, or say something");
        tell_others("-- " + name_ + " joined");
    }
    ~Client() {
        room_.erase(name_);
        tell_others("-- " + name_ + " left");
    }
    Client(Client&&) = delete;

    /// Send a line, or keep it until it can be sent; who lets too much pile up is dropped.
    void tell(std::string_view line) {
        if (writer_.is_closing()) return;
        writer_.write(line);
        writer_.write("\n");
        if (writer_.write_buffer_size() <= kMaxOutbox) return;
        std::fprintf(stderr, "dropped %s (%s): over %zu bytes unread\n", name_.c_str(),
                     writer_.peername().to_string().c_str(), kMaxOutbox);
        writer_.abort();
    }

    void obey(const std::string& line) {
        check_text(line);
        const std::string command = line.substr(0, line.find(' '));
        const std::string argument = line.substr(std::min(line.size(), command.size() + 1));
        if (command == "/nick") return rename(argument);
        if (command == "/me") return tell_others("* " + name_ + " " + argument);
        if (command == "/who") return tell_who_is_here();
        if (command == "/help") return tell(kHelp);
        if (command.starts_with('/')) throw Complaint("no such command; try /help");
        if (!line.empty()) tell_others(name_ + ": " + line);
    }

  private:
    void tell_others(std::string_view line) {
        for (const auto& [name, client] : room_)
            if (client != this) client->tell(line);
    }

    void rename(const std::string& name) {
        auto ok = [](unsigned char c) {
            return std::isalnum(c) || c >= 0x80 || c == '-' || c == '_';
        };
        if (name.empty() || name.size() > kMaxName || !std::ranges::all_of(name, ok))
            throw Complaint("a nickname is 1 to 32 bytes of letters, digits, - and _");
        if (!room_.try_emplace(name, this).second) throw Complaint(name + " is taken");
        room_.erase(name_);
        tell("-- you are " + name + " now");
        tell_others("-- " + std::exchange(name_, name) + " is " + name + " now");
    }

    void tell_who_is_here() {
        std::string names;
        for (const auto& [name, client] : room_) names += " " + name;
        tell("-- here are" + names);
    }

    Room& room_;
    asyncio::StreamWriter& writer_;
    std::string name_;
};

/// The next line, without its end. IncompleteReadError if there is none: half a line is no line.
Coro<std::string> next_line(asyncio::StreamReader& reader) {
    for (std::size_t excess = 0;;) {
        try {
            std::string line = co_await reader.readuntil("\n");
            if (excess > 0) throw Complaint("a line has at most 8 KiB, so nobody got that one");
            line.erase(line.find_last_not_of("\r\n") + 1);
            co_return line;
        } catch (const asyncio::LimitOverrunError& error) {
            excess = error.consumed();
        }
        co_await reader.readexactly(excess);
    }
}

Coro<> converse(Room& room, asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    Client me(room, writer);
    for (std::size_t said = 0;; said %= kTurn) {
        try {
            const std::string line = co_await next_line(reader);
            said += kMaxName + line.size();
            if (line == "/quit") break;
            me.obey(line);
        } catch (const Complaint& complaint) {
            me.tell(std::string("-- ") + complaint.what());
        } catch (const std::runtime_error&) {
            break;  // the end of the stream, or of the connection
        }
        if (said >= kTurn) co_await asyncio::sleep(0s);  // who talks fast waits for its next turn
    }
    me.tell("-- goodbye");
}

Coro<> serve(Room& room, std::string_view host, asyncio::Port port) {
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    auto stop = loop.create_future<void>();
    for (const int signal : {SIGINT, SIGTERM})
        loop.add_signal_handler(signal, [stop] {
            if (!stop.done()) stop.set_result();
        });
    auto handler = [&room](asyncio::StreamReader& reader, asyncio::StreamWriter& writer) -> Coro<> {
        co_await converse(room, reader, writer);
    };
    auto server =
        co_await asyncio::start_server(handler, host, port, {.limit = kMaxLine, .backlog = 1024});
    std::printf("listening on %s\n", server.sockets()[0].getsockname().to_string().c_str());
    std::fflush(stdout);
    co_await stop;

    server.close();
    for (const auto& [name, client] : room) client->tell("-- the server stops here. Goodbye!");
    server.close_clients();  // each when it has got its last line
    loop.call_later(kFarewell, [server] { server.abort_clients(); });
    co_await server.wait_closed();
}

}  // namespace

int main(int argc, char** argv) try {
    std::map<std::string, std::string> options = {{"--host", "127.0.0.1"}, {"--port", "8888"}};
    for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
    if (argc % 2 == 0 || options.size() > 2)
        throw std::invalid_argument("usage: chat_server [--port P] [--host H]");
    Room room;
    asyncio::run(serve(room, options["--host"], asyncio::Port(options["--port"])));
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
