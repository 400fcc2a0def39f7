// SPDX-License-Identifier: MIT
//
// Files as a whole: read, write, replace, copy.
//
//     std::string config = co_await asyncio::fs::read_file("app.conf");
//     co_await asyncio::fs::write_atomic("app.conf", text);    // the old one or the new one, never
//     a part
//
// Errors: std::system_error naming call and path. Threads: the loop's.
#pragma once

#include <asyncio/coro/coro.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace asyncio::fs {

Coro<std::string> read_file(std::string_view path);

/// Make or overwrite. `data` must live until the write ends. A cancelled or failed write may leave
/// a part: see write_atomic().
Coro<> write_file(std::string_view path, std::string_view data);

struct WriteAtomicOptions {
    unsigned permissions =
        0666;          // of a file that was not there, less the umask; else it keeps its own
    bool sync = true;  // on the disk before it is seen, and the name on the disk at the end
};
/// Replace the contents of `path` at once: written to a new file beside it, which then takes its
/// name. Whatever happens on the way (error, cancellation, power cut), the old file or the new one
/// is there in full. Nothing else is left, but by a power cut, after which a part of the new file
/// may lie beside it (`path`, a dot, 14 letters). After an error it can be either of the two.
/// A symbolic link is replaced, not followed. `data` must live until the write ends.
Coro<> write_atomic(std::string_view path, std::string_view data, WriteAtomicOptions options = {});

/// Copy the contents and the permissions of `from`, over `to` if it is there. Shares the blocks
/// where the file system can (reflink), else its server copies (copy_file_range), else we do. The
/// number of bytes. A cancelled or failed copy may leave a part.
Coro<std::uint64_t> copy(std::string_view from, std::string_view to);

}  // namespace asyncio::fs
