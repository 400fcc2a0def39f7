// SPDX-License-Identifier: MIT
//
// Launch: everything a program is started with, kept by value; and our ends of its streams.
//
// The options' views end when the call that took them returns; a Launch lives in the coroutine that
// does the work.
#pragma once

#include <asyncio/os/fd.hpp>
#include <asyncio/os/spawn.hpp>
#include <asyncio/subprocess/options.hpp>

#include <optional>
#include <string>
#include <vector>

namespace asyncio::subprocess {

/// Our end of each standard stream that leads to us; with a terminal all three are one.
struct OurEnds {
    os::Fd pipes[3];
    os::Fd terminal;
    bool on_terminal[3] = {};
};

class Launch {
  public:
    /// std::invalid_argument for null bytes, STDOUT where it has no meaning, descriptors that are
    /// none and environment entries that are none.
    Launch(const SubprocessOptions& options, std::vector<std::string> arguments);

    const std::string& program() const noexcept { return arguments_.front(); }
    std::size_t limit() const noexcept { return limit_; }

    /// Start it. std::system_error naming program and step; then nothing is left.
    os::Spawned run(OurEnds& ends);
    /// Inside a catch, when our ends cannot be opened: that it was these, of which program.
    [[noreturn]] void rethrow_of_ends() const;

  private:
    struct Stream {
        Stdio stdio;
        os::Fd theirs;
    };

    void open_stream(int number, OurEnds& ends);
    void open_pipe(int number, OurEnds& ends);
    void open_terminal(OurEnds& ends);
    std::vector<os::DescriptorMapping> mappings() const;
    std::vector<std::string> candidates() const;
    [[noreturn]] void throw_failure(const os::Spawned& spawned) const;

    std::vector<std::string> arguments_;
    Stream streams_[3];
    os::Fd their_terminal_;
    std::size_t limit_;
    std::string directory_;
    std::optional<std::vector<std::string>> environment_;
    std::vector<int> pass_fds_;
    std::optional<std::vector<unsigned>> groups_;
    std::vector<os::ResourceLimit> limits_;
    SubprocessOptions options_;  // of what is no view
};

}  // namespace asyncio::subprocess
