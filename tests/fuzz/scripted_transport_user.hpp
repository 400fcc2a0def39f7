// SPDX-License-Identifier: MIT
//
// The user of one transport, by protocols that take each other's place: only that of the moment is
// told anything; connection_made comes first, connection_lost once, last and never from within a
// call; pauses and resumes are paired, and come where the limits say.
#pragma once

#include <asyncio/stream/protocol.hpp>

#include <string>
#include <utility>
#include <vector>

#include "fuzz.hpp"
#include "scripted_user.hpp"

namespace asyncio::fuzz {

class ScriptedTransportUser : protected ScriptedUser {
  protected:
    static constexpr std::size_t kMostWritten = 300'000;  // bytes

    using ScriptedUser::ScriptedUser;

    class Player final : public stream::UserProtocol {
      public:
        Player(ScriptedTransportUser& user, bool is_foreign)
            : user_(user), is_foreign_(is_foreign) {}

        bool runs_foreign_code() const noexcept override { return is_foreign_; }
        void connection_made(Transport& transport) override {
            FUZZ_CHECK(!user_.made_ && !user_.lost_);
            user_.made_ = true;
            // What is kept of it must not keep it alive: it does that itself, until it is lost.
            user_.transport_ = &transport;
            user_.made();
        }
        void data_received(std::span<const std::byte> data) override {
            user_.check_called(*this);
            FUZZ_CHECK(!user_.transport_->is_closing() && !user_.eof_ && !data.empty());
            FUZZ_CHECK(!is_foreign_ || user_.transport_->is_reading());
            user_.received_ += as_text(data);
            user_.data(as_text(data), is_foreign_);
        }
        bool eof_received() override {
            user_.check_called(*this);
            FUZZ_CHECK(!user_.transport_->is_closing() && !std::exchange(user_.eof_, true));
            return user_.eof();
        }
        void connection_lost(std::exception_ptr error) override {
            user_.check_called(*this);
            FUZZ_CHECK(user_.calls_ == 0);
            user_.lost_ = true;
            FUZZ_CHECK(user_.transport_->is_closing() && user_.transport_->fileno() == -1);
            user_.lost(error);
        }
        void pause_writing() override { flow(true); }
        void resume_writing() override { flow(false); }

      private:
        void flow(bool paused) {
            user_.check_called(*this);
            FUZZ_CHECK(user_.paused_ != paused);
            user_.paused_ = paused;
            const auto limits = user_.transport_->get_write_buffer_limits();
            const std::size_t size = user_.transport_->get_write_buffer_size();
            FUZZ_CHECK(paused ? size > limits.high : size <= limits.low);
            user_.flow();
        }

        ScriptedTransportUser& user_;
        bool is_foreign_;
    };

    // --- what the protocol of the moment is told ------------------------------------------------

    virtual void made() = 0;
    /// It is in received_ already. Whoever runs no foreign code may not act.
    virtual void data(std::string_view data, bool may_act) = 0;
    virtual bool eof() = 0;
    virtual void lost(const std::exception_ptr& error) = 0;
    virtual void flow() = 0;

    // --- what is asked of the transport ---------------------------------------------------------

    virtual Ref<Player> make_player() = 0;
    void replace_player() {
        const Ref<Player> before = std::exchange(player_, make_player());
        transport_->set_protocol(player_);
    }
    /// Foreign code is told nothing then, and what came later, in the first turn after the pause.
    void will_pause() {
        all_is_told_ = false;
        turns_reading_ = 0;
    }
    void turn_ended() {
        if (lost_ || !transport_->is_reading())
            turns_reading_ = 0;
        else if (++turns_reading_ > 1)
            all_is_told_ = true;
    }
    void check_received(std::string_view all) const {
        FUZZ_CHECK(all.starts_with(received_));
        if (all_is_told_) FUZZ_CHECK(received_ == all);
    }
    virtual bool takes_writes() const { return !transport_->is_closing(); }
    void write(std::size_t size) {
        const std::string text = more(size);
        account(text);
        transport_->write(text);
    }
    void write_lines() {
        std::vector<std::string> texts;
        std::vector<std::span<const std::byte>> lines;
        for (std::size_t count = input_.below(100); count > 0; --count)
            texts.push_back(more(input_.below(4) == 1 ? input_.number(2) % 9000 : count % 3));
        for (const std::string& text : texts) {
            lines.push_back(std::as_bytes(std::span(text)));
            account(text);
        }
        transport_->writelines(lines);
    }
    void set_limits() {
        const std::size_t high = input_.number(2);
        transport_->set_write_buffer_limits(high, high / (1 + input_.below(5)));
    }

    Ref<Player> player_;
    Transport* transport_ = nullptr;
    std::string written_;
    std::string received_;
    int calls_ = 0;
    int turns_reading_ = 0;
    bool all_is_told_ = true;
    bool made_ = false;
    bool eof_ = false;  // of the peer
    bool aborted_ = false;
    bool paused_ = false;
    bool lost_ = false;
    bool leaves_it_open_ = false;

  private:
    void check_called(const Player& player) const {
        FUZZ_CHECK(&player == player_.get() && made_ && !lost_);
    }
    std::string more(std::size_t size) {
        if (written_.size() > kMostWritten) size = 0;
        std::string text(size, '\0');
        for (char& c : text) c = static_cast<char>('A' + counter_++ % 53);
        return text;
    }
    /// Before the call, which may call back and write more.
    void account(const std::string& text) {
        if (takes_writes()) written_ += text;
    }

    std::size_t counter_ = 0;
};

}  // namespace asyncio::fuzz
