// SPDX-License-Identifier: MIT
//
// FileCall: one system call on a file, as data.
//
// Files are never "ready": a call on them blocks for as long as the disk likes. So a call is
// described first, and then either handed to the system by a kernel that can (io_uring), or
// performed here, by perform(), on a thread that may block. Both give the same result for the same
// call: >= 0, or -errno. Who knows what was attempted on what makes the sentence of it.
//
// Descriptors are always opened close-on-exec. Paths and memory belong to the caller and must
// outlive the call. `offset` -1 means: at the descriptor's own position, which then moves.
//
// Any thread.
#pragma once

#include <cstddef>
#include <cstdint>

struct statx;

namespace asyncio::os {

struct FileCall {
    enum class Kind : std::uint8_t {
        open,      // path, flags (O_...), mode; the result is a descriptor
        close,     // fd
        read,      // fd, memory, size, offset
        write,     // fd, memory, size, offset
        sync,      // fd; flags: 1 leaves out what only times need (fdatasync)
        stat,      // path or fd (empty path), flags (AT_...), attributes
        rename,    // path -> other, flags (RENAME_...)
        unlink,    // path, flags (AT_REMOVEDIR for a directory)
        mkdir,     // path, mode
        symlink,   // path is what the link `other` says
        link,      // other becomes another name of path
        truncate,  // fd, offset: the new size
    };

    /// A call may take and give no more at once; longer ones are made in pieces (the system's own
    /// limit of one read or write).
    static constexpr std::size_t kLongest = 0x7ffff000;
    static constexpr int kDataOnly = 1;  // for sync

    Kind kind;
    int fd = -100;  // AT_FDCWD: paths are relative to the working directory
    int flags = 0;
    unsigned mode = 0;
    const char* path = "";
    const char* other = "";
    void* memory = nullptr;
    std::size_t size = 0;
    std::int64_t offset = -1;
    struct statx* attributes = nullptr;

    /// open: it may have to wait for somebody (a FIFO for writing). io_uring tries every other open
    /// with O_NONBLOCK first, and takes what that says for the answer (ENXIO here).
    bool waits = false;

    /// read and write of what has no positions (a pipe, a terminal): -EAGAIN where they would have
    /// to wait. poll() does not promise that they need not: another process may have been faster.
    bool at_once = false;

    /// The system call's name, for errors and stack dumps: "open", "read".
    const char* name() const noexcept;
};

/// Make the call; blocks. EINTR is retried, except by close, which is done then.
int perform(const FileCall& call) noexcept;

/// Make the call, an open or a read, if that does not have to wait for a disk: what it needs is in
/// the system's memory. Anything below zero else, which says nothing: then perform() it.
int perform_if_cached(const FileCall& call) noexcept;

}  // namespace asyncio::os
