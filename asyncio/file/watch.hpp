// SPDX-License-Identifier: MIT
//
// Watch: what happens in a directory, or to a file, as an async iterator (inotify).
//
//     auto watch = co_await asyncio::fs::watch("inbox");
//     while (auto change = co_await watch.next())
//         if (change->kind == asyncio::fs::Change::Kind::written) co_await take(change->path());
//
// Watching begins when watch() returns: what happens from then on is told, in its order. Not
// recursive; add() watches more with the same iterator.
//
// Bounded: the system keeps the changes nobody has taken yet, up to its limit
// (/proc/sys/fs/inotify/max_queued_events, 16384), and what is beyond is lost. That is told, as an
// `overflow`: then only a look at the directory itself (fs::scandir) tells how it stands. What was
// kept of the time before comes before the `overflow`, so that what follows it can be applied to
// what was seen then. What is no longer there, under its path, is told as `gone` also then: the
// library has looked.
//
// The iteration ends (nullopt) when nothing is watched any more: each path ends with a `gone`.
//
// Cancellation: of next() loses no change. A Watch that is dropped closes.
// Errors: std::system_error naming the path; ENOSPC and EMFILE are the limits of inotify
// (max_user_watches, max_user_instances). Threads: the loop's.
#pragma once

#include <asyncio/base/shared.hpp>
#include <asyncio/coro/coro.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace asyncio::fs {

struct Change {
    enum class Kind : std::uint8_t {
        created,     // a name that was not there
        modified,    // contents: once or more for each write, truncation included
        written,     // closed by somebody who had it open for writing
        attributes,  // permissions, times, links, owner
        removed,
        moved_from,  // renamed; `pair` is the same for both halves, one of which may be elsewhere
        moved_to,
        overflow,  // changes were lost; no name
        gone,      // what is watched was removed, moved away or unmounted: its last change; no name
    };

    Kind kind = Kind::overflow;
    bool is_dir = false;
    std::uint32_t pair = 0;  // of moved_from and moved_to
    std::string watched;     // the path that was given to watch() or add()
    std::string name;        // in that directory; empty: the watched thing itself

    std::string path() const;
};

class Watch {
  public:
    /// One read of changes; each costs 16 bytes and its name.
    static constexpr std::size_t kBuffer = 16384;  // bytes

    struct State;
    explicit Watch(Shared<State> state) noexcept;
    Watch(Watch&&) noexcept;
    Watch& operator=(Watch&&) noexcept;
    ~Watch();

    /// The next change; nullopt when there will be none. Several tasks may ask; each change is
    /// given to one.
    Coro<std::optional<Change>> next() const;

    /// Watch `path`, too. What is watched already is told under this path from then on.
    Coro<> add(std::string_view path) const;

    /// Stop now; what was not taken is dropped. A task in next() gets nullopt. Idempotent.
    void close() const noexcept;

  private:
    Shared<State> state_;
};

/// Watch a directory: the names in it and itself. Or one file, as long as it is there.
Coro<Watch> watch(std::string_view path);

}  // namespace asyncio::fs
