// SPDX-License-Identifier: MIT
//
// The chat server of the examples, a protocol as users write them: clients that send any bytes in
// any pieces, leave and stop. Whatever one sends, the others get whole lines of valid UTF-8 without
// control characters, and an empty room stays when all have gone.
//
// covers: ../examples/chat_server.cpp
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type"  // main() need not return
#define main chat_server_main
#include "../../examples/chat_server.cpp"
#undef main
#pragma GCC diagnostic pop

#include <asyncio/stream/stream_fixture_test.hpp>

#include <deque>

#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

using stream_tests::FakeConnection;

/// The length of the character of UTF-8 that `text` begins with; 0: it does not.
std::size_t character(std::string_view text) {
    const auto at = [&](std::size_t i) {
        return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
    };
    const auto follows = [&](std::size_t i, unsigned least = 0x80, unsigned most = 0xBF) {
        return at(i) >= least && at(i) <= most;
    };
    const unsigned lead = at(0);
    if (lead < 0x80) return lead >= 0x20 && lead != 0x7F ? 1 : 0;
    if (lead >= 0xC2 && lead <= 0xDF) return follows(1) && (lead > 0xC2 || at(1) >= 0xA0) ? 2 : 0;
    if (lead == 0xE0) return follows(1, 0xA0) && follows(2) ? 3 : 0;
    if (lead == 0xED) return follows(1, 0x80, 0x9F) && follows(2) ? 3 : 0;
    if (lead >= 0xE1 && lead <= 0xEF) return follows(1) && follows(2) ? 3 : 0;
    if (lead == 0xF0) return follows(1, 0x90) && follows(2) && follows(3) ? 4 : 0;
    if (lead == 0xF4) return follows(1, 0x80, 0x8F) && follows(2) && follows(3) ? 4 : 0;
    if (lead >= 0xF1 && lead <= 0xF3) return follows(1) && follows(2) && follows(3) ? 4 : 0;
    return 0;
}

/// Whole lines of it.
void check_lines(std::string_view text) {
    while (!text.empty()) {
        if (text[0] == '\n') {
            text.remove_prefix(1);
            continue;
        }
        const std::size_t length = character(text);
        FUZZ_CHECK(length > 0);
        text.remove_prefix(length);
        FUZZ_CHECK(!text.empty());  // a line's end is missing
    }
}

struct Guest {
    FakeConnection connection{kMaxLine};
    StreamReader reader{connection.core};
    StreamWriter writer{connection.core};
    Task<> task;
    bool left = false;
};

class Evening {
  public:
    explicit Evening(Input& input) : input_(input) {}

    Coro<> run() {
        while (!input_.empty() && guests_.size() < 20) {
            step();
            for (std::size_t turns = input_.below(4); turns > 0; --turns)
                co_await asyncio::sleep(0s);
        }
        for (Guest& guest : guests_) leave(guest);
        for (Guest& guest : guests_) (void)co_await as_outcome(guest.task);
        FUZZ_CHECK(room_.empty());
        for (const Guest& guest : guests_) check_lines(guest.connection.transport->buffer);
    }

  private:
    void step() {
        const std::size_t choice = input_.below(16);
        if (guests_.empty() || choice == 0) {
            Guest& guest = guests_.emplace_back();
            guest.connection.transport->high = 1 << 20;
            guest.task = create_task(converse(room_, guest.reader, guest.writer));
            return;
        }
        Guest& guest = guests_[input_.below(guests_.size())];
        if (choice == 1) return leave(guest);
        if (choice == 2) return static_cast<void>(guest.task.cancel());
        if (guest.left) return;
        static constexpr std::string_view kSaid[] = {
            "/nick ", "/me ", "/who\n", "/help\n", "/quit\n", "\n", "\r\n", "/nick guest-1\n"};
        if (choice < 8) guest.reader.feed_data(kSaid[input_.below(8)]);
        if (choice == 8) guest.reader.feed_data(std::string(kMaxLine, 'a'));
        if (choice > 6) guest.reader.feed_data(input_.text(input_.below(60)));
        if (choice > 12) guest.reader.feed_data("\n");
    }
    void leave(Guest& guest) {
        if (std::exchange(guest.left, true)) return;
        guest.reader.feed_eof();
    }

    Input& input_;
    std::deque<Guest> guests_;
    Room room_;
};

Coro<> play(Input& input) {
    Evening evening(input);
    co_await evening.run();
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(chat) { asyncio::fuzz::run(asyncio::fuzz::play(input)); }
