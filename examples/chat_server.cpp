// SPDX-License-Identifier: MIT
//
// A chat room over TCP lines: one task a client, one thread, no locks, no callbacks.
//
//     ./dev demo --port 8888        build and run it
//     nc 127.0.0.1 8888             in as many terminals as you like; /help tells the rest
//
// What it shows: a server whose handler reads like a conversation; a destructor where Python has
// try/finally; one place where mistakes become messages; a bounded outbox, so that a client that
// does not read costs nobody anything; signals, and a shutdown with a deadline.
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
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
constexpr std::size_t kMaxOutbox = 1 << 20;  // bytes left unread by a client before it is dropped
constexpr auto kFarewell = 500ms;            // for the last lines to get out

constexpr auto kHelp =
    "/nick NAME  change your name      /who   who is here        /quit  leave\n"
    "-- /me ACTION  say what you do       /help  this text          anything else is said aloud";

/// What somebody did wrong; told to nobody else.
struct Complaint : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Take the first code point from UTF-8 text.
char32_t take_code_point(std::string_view& text) {
    static constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    const auto first = static_cast<unsigned char>(text[0]);
    const auto length = static_cast<std::size_t>(std::max(1, std::countl_one(first)));
    bool valid = length <= 4 && length <= text.size() && (first & 0xC0) != 0x80;
    char32_t c = length == 1 ? first : first & (0x7Fu >> length);
    for (std::size_t i = 1; valid && i < length; ++i) {
        valid = (text[i] & 0xC0) == 0x80;
        c = c << 6 | (text[i] & 0x3Fu);
    }
    if (!valid || c < kLeast[length] || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF)
        throw Complaint("that is not valid UTF-8; nobody got it");
    text.remove_prefix(length);
    return c;
}

void check_text(std::string_view text) {
    while (!text.empty()) {
        const char32_t c = take_code_point(text);
        const bool reorders = (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
        if (c < 0x20 || (c >= 0x7F && c < 0xA0) || reorders)
            throw Complaint("control characters are not allowed; nobody got that");
    }
}

void check_name(std::string_view name) {
    const bool fits = !name.empty() && name.size() <= kMaxName;
    for (std::string_view rest = fits ? name : "?"; !rest.empty();) {
        const char32_t c = take_code_point(rest);
        const bool letter = c < 0x80 ? std::isalnum(static_cast<int>(c)) || c == '-' || c == '_'
                                     : c > 0xA0 && (c < 0x2000 || c > 0x206F) && c != 0x3000;
        if (!letter)
            throw Complaint("a nickname is 1 to " + std::to_string(kMaxName) +
                            " bytes of letters, digits, - and _");
    }
}

class Client;
using Room = std::map<std::string, Client*, std::less<>>;  // who is here, by name

/// Somebody in the room, from construction to destruction.
class Client {
  public:
    Client(Room& room, asyncio::StreamWriter& writer) : room_(room), writer_(writer) {
        for (int i = 1; !room_.try_emplace(name_ = "guest-" + std::to_string(i), this).second;
             ++i) {
        }
        tell("-- welcome! You are " + name_ + ", one of " + std::to_string(room_.size()) +
             " here. /help tells what you can do.");
        tell_others("-- " + name_ + " joined");
    }
    ~Client() {
        room_.erase(name_);
        tell_others("-- " + name_ + " left");
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// One line, sent or kept until it can be. A client that keeps too much waiting is dropped.
    void tell(const std::string& line) {
        if (writer_.is_closing()) return;
        writer_.write(line + '\n');
        if (writer_.write_buffer_size() <= kMaxOutbox) return;
        std::fprintf(stderr, "dropped %s (%s): it left %zu bytes unread\n", name_.c_str(),
                     writer_.peername().to_string().c_str(), writer_.write_buffer_size());
        writer_.abort();
    }

    void tell_others(const std::string& line) {
        for (auto& [name, client] : room_)
            if (client != this) client->tell(line);
    }

    /// Do what a line asks for. False: to leave.
    bool obey(std::string_view line) {
        check_text(line);
        const std::string_view command = line.substr(0, line.find(' '));
        const std::string argument(line.substr(std::min(line.size(), command.size() + 1)));
        if (command == "/quit") return tell("-- goodbye, " + name_), false;
        if (command == "/help") return tell(std::string("-- ") + kHelp), true;
        if (command == "/who") return tell("-- here: " + names()), true;
        if (command == "/nick") return rename(argument), true;
        if (command == "/me") return tell_others("* " + name_ + " " + argument), true;
        if (command.starts_with('/'))
            throw Complaint("there is no " + std::string(command) + "; try /help");
        if (!line.empty()) tell_others(name_ + ": " + std::string(line));
        return true;
    }

  private:
    void rename(const std::string& name) {
        check_name(name);
        if (!room_.try_emplace(name, this).second) throw Complaint(name + " is taken");
        room_.erase(name_);
        tell("-- you are now " + name);
        tell_others("-- " + std::exchange(name_, name) + " is now " + name);
    }

    std::string names() const {
        std::string all;
        for (const auto& [name, client] : room_) all += (all.empty() ? "" : ", ") + name;
        return all;
    }

    Room& room_;
    asyncio::StreamWriter& writer_;
    std::string name_;
};

/// The next line, without its end. IncompleteReadError when there is none: half a line is no line.
Coro<std::string> next_line(asyncio::StreamReader& reader) {
    for (std::size_t excess = 0;;) {
        try {
            std::string line = co_await reader.readuntil("\n");
            if (excess > 0) break;
            line.erase(line.find_last_not_of("\r\n") + 1);
            co_return line;
        } catch (const asyncio::LimitOverrunError& error) {
            excess = error.consumed();
        }
        co_await reader.readexactly(excess);
    }
    throw Complaint("a line may have " + std::to_string(kMaxLine) + " bytes; nobody got that one");
}

Coro<> converse(Room& room, asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    Client me(room, writer);
    for (bool stays = true; stays;) {
        try {
            const std::string line = co_await next_line(reader);
            stays = me.obey(line);
        } catch (const Complaint& complaint) {
            me.tell(std::string("-- ") + complaint.what());
        } catch (const asyncio::IncompleteReadError&) {
            stays = false;
        } catch (const std::system_error&) {  // the connection broke
            stays = false;
        }
        co_await asyncio::sleep(0s);  // a line a turn: nobody floods the room before it is flushed
    }
}

Coro<> serve(Room& room, std::string_view host, std::uint16_t port) {
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    auto stop = loop.create_future<void>();
    for (const int signal : {SIGINT, SIGTERM})
        loop.add_signal_handler(signal, [stop] {
            if (!stop.done()) stop.set_result();
        });

    auto handler = [&room](asyncio::StreamReader& reader, asyncio::StreamWriter& writer) -> Coro<> {
        co_await converse(room, reader, writer);
    };
    const asyncio::ServerOptions options = {.limit = kMaxLine, .backlog = 1024};
    auto server = co_await asyncio::start_server(handler, host, port, options);
    std::printf("listening on %s\n", server.sockets()[0].getsockname().to_string().c_str());
    std::fflush(stdout);
    co_await stop;

    server.close();
    for (auto& [name, client] : room) client->tell("-- the server shuts down. Goodbye!");
    server.close_clients();  // each after what it still has to get
    try {
        co_await asyncio::wait_for(server.wait_closed(), kFarewell);
    } catch (const asyncio::TimeoutError&) {
        server.abort_clients();
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::string_view host = "127.0.0.1";
    std::uint16_t port = 8888;
    bool usage = argc % 2 == 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view option = argv[i], value = argv[i + 1];
        if (option == "--host")
            host = value;
        else if (option != "--port" ||
                 std::from_chars(value.begin(), value.end(), port).ptr != value.end())
            usage = true;
    }
    if (usage) return std::fprintf(stderr, "usage: %s [--port P] [--host H]\n", argv[0]), 2;
    Room room;
    try {
        asyncio::run(serve(room, host, port));
    } catch (const std::exception& error) {
        return std::fprintf(stderr, "%s: %s\n", argv[0], error.what()), 1;
    }
}
