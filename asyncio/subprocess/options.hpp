// SPDX-License-Identifier: MIT
//
// How a program is started: where its standard streams lead, and what surrounds it.
//
//     {.stdin_ = asyncio::DEVNULL, .stdout_ = asyncio::PIPE, .stderr_ = asyncio::STDOUT, .cwd =
//     "/tmp"}
//
// A plain aggregate of views: what they lead to must live until the call that takes it returns.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/os/resource_limit.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

using os::ResourceLimit;

/// Where one of a program's standard streams leads.
class Stdio {
  public:
    enum class Kind : std::uint8_t { inherit, pipe, standard_output, null, terminal, descriptor };

    /// The same as ours.
    constexpr Stdio() noexcept = default;
    /// An open descriptor, which stays ours.
    constexpr Stdio(int fd) noexcept : kind(Kind::descriptor), descriptor(fd) {}
    constexpr explicit Stdio(Kind k) noexcept : kind(k) {}

    Kind kind = Kind::inherit;
    int descriptor = -1;
};

/// To us, as a stream.
inline constexpr Stdio PIPE{Stdio::Kind::pipe};
/// stderr_ only: to where stdout_ leads.
inline constexpr Stdio STDOUT{Stdio::Kind::standard_output};
/// Nowhere.
inline constexpr Stdio DEVNULL{Stdio::Kind::null};
/// A terminal of its own, which is also the program's controlling one; our side is a stream. All
/// streams that say PTY share it: what it writes to stderr_ comes out of stdout_().
inline constexpr Stdio PTY{Stdio::Kind::terminal};

struct TerminalSize {
    unsigned short rows = 24;
    unsigned short columns = 80;
};

struct SubprocessOptions {
    Stdio stdin_ = {};
    Stdio stdout_ = {};
    Stdio stderr_ = {};
    std::size_t limit = 65536;  // of the readers, bytes: see open_connection
    std::string_view cwd = {};  // the directory it works in; default: ours
    /// "NAME=value" each, instead of our environment.
    Option<std::span<const std::string>> env = {};
    std::span<const int> pass_fds = {};  // kept open under the same numbers; all others are closed
    bool start_new_session = false;
    Option<int> process_group = {};  // 0: one of its own
    Option<unsigned> user = {};
    Option<unsigned> group = {};
    Option<std::span<const unsigned>> extra_groups = {};
    Option<unsigned> umask = {};
    std::span<const ResourceLimit> limits = {};
    TerminalSize terminal = {};  // of PTY
};

namespace subprocess {
/// A program's words, kept.
std::vector<std::string> words_of(std::initializer_list<std::string_view> words);
}  // namespace subprocess

}  // namespace asyncio
