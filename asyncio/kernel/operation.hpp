// SPDX-License-Identifier: MIT
//
// Operation: one request to the operating system, embedded in whoever waits for it.
//
// It lives in the caller's frame or object and is never allocated by a kernel. From submit() until
// its final completion it belongs to the kernel: it must not move or die, nor may the memory it
// points to (address, iovec, bytes). The only ways back are the final completion, or
// Kernel::reclaim(), which does not return before the operation is the caller's again.
//
//            submit()                    final completion (more == false)
//     idle ------------> submitted -------------------------------------> idle
//       ^                   |  ^                                            |
//       |          cancel() |  | completion with more == true               |
//       |                   v  | (stays in its state)                       |
//       |               cancelling ----------------------------------------'
//       '--- submit() that finished inline (result in `inline_result`)
//
// cancel() is a request, never an answer: the operation may still complete with its result, and
// whoever asked owns that result (an accepted descriptor, received bytes).
//
// Multishot kinds (accept, receive, receive_from) complete many times with more == true and
// once with more == false. All others complete exactly once. accept skips errors that concern only
// one connection; what is reported (-EMFILE, -EBADF, ...) ended the operation, and it may be
// submitted again later. So with receive_from: an error that an earlier datagram caused
// (-ECONNREFUSED) ends it, and it goes on when submitted again.
//
// Threads: an operation belongs to the thread that runs its kernel.
#pragma once

#include <asyncio/base/intrusive_list.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

struct sockaddr;
struct iovec;

namespace asyncio::os {
struct FileCall;
}

namespace asyncio::kernel {

class Operation;

enum class Opcode : std::uint8_t {
    accept,   // multishot; result = new descriptor, close-on-exec and non-blocking
    connect,  // once; `address`, `address_size`
    receive,  // multishot; data in Completion::data, result 0 = end of stream
    send,     // once; `buffers` (gathered, MSG_NOSIGNAL); result = bytes taken, may be short
    poll,     // once, level-triggered; `events` (POLLIN | POLLOUT); result = ready events
    file,  // once; `file_call`. A kernel that cannot finishes inline with -ENOTSUP: perform() it.
           // -ECANCELED without a cancel(): the system had no thread for it, perform() it
    receive_from,  // multishot; completions are kernel::Datagram
    small_file,    // once; `path`, below the working directory if it is relative. Completions are
                   // kernel::SmallFile. A kernel that cannot, or not now, finishes inline; -EAGAIN
                   // or inline: nothing is known, and the file is to be read by other means
};

/// What one completion brings. `data` is valid during the callback only.
struct Completion {
    int result = 0;  // >= 0, or -errno; -ECANCELED after a cancel that won
    bool more = false;
    std::span<const std::byte> data = {};
};

class Operation : public IntrusiveListNode<Operation> {
  public:
    enum class State : std::uint8_t { idle, submitted, cancelling };
    using Callback = void (*)(Operation&, const Completion&);  // must not throw

    Operation(Opcode code, Callback on_completion) noexcept
        : callback(on_completion), opcode(code), address(nullptr) {}
    Operation(const Operation&) = delete;
    Operation& operator=(const Operation&) = delete;
    ~Operation() {
        if (state != State::idle) [[unlikely]]
            abort_for_death_in_flight();
    }

    bool idle() const noexcept { return state == State::idle; }

    /// True for what brings data in (accept, receive, poll for POLLIN): delivered first (K6).
    bool is_input() const noexcept;

    // What is asked; set by the owner while idle.
    Callback callback;
    void* owner = nullptr;  // the caller's own, never looked at
    int fd = -1;
    Opcode opcode;
    State state = State::idle;  // written by kernels only
    bool is_socket = true;      // receive, send: else a pipe or terminal, non-blocking
    std::uint32_t slot = 0;     // the kernel's own index, with a generation kept beside it
    std::uint32_t count = 0;    // connect: bytes of the address; send: number of buffers;
                                // small_file: the kernel's own
    union {
        const sockaddr* address;  // connect
        const iovec* buffers;     // send
        const os::FileCall* file_call;
        const char* path;  // small_file
    };
    std::uint32_t events = 0;  // poll
    int inline_result = 0;     // set when submit() returned false

  private:
    [[noreturn]] static void abort_for_death_in_flight() noexcept;
};

/// The memory that `operation` (connect, send, file) lent to the system must still be alive when
/// the completion comes. Sanitizers do not see the system's accesses, so under AddressSanitizer the
/// backends ask here; prints a sentence and aborts. Costs one test elsewhere.
void check_lent_memory(const Operation& operation) noexcept;

}  // namespace asyncio::kernel
