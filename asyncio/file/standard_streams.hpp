// SPDX-License-Identifier: MIT
//
// Standard input and output as streams, whatever they lead to: a terminal, a pipe, a file, a
// socket.
//
//     auto input = asyncio::open_stdin();
//     auto output = asyncio::open_stdout();
//     auto lines = input.lines();
//     while (auto line = co_await lines.next()) {
//         output.write("you said " + *line);
//         co_await output.drain();
//     }
//     output.close();
//     co_await output.wait_closed();
//
// The descriptors 0, 1 and 2 are shared with the shell and with other programs, and so is
// everything that is set on them: O_NONBLOCK left behind makes the shell's next `cat` fail with
// EAGAIN, and set only for a while it makes our neighbours in the pipeline fail. So it is never
// set:
//
// - A pipe or a terminal is opened a second time, through /proc; that one is non-blocking, ours
//   alone, and closed at the end.
// - All else (files, sockets, devices, and pipes that may not be opened again) is read and written
//   by threads, after a poll where that means something (blocking_transport.hpp). The position in
//   a file is the shared one, so what follows us goes on where we stopped.
//
// close() does not close the descriptor itself: a reader of our output sees its end when the
// program ends, or when it closes 1.
//
// Reading begins at once and goes up to twice `limit` bytes ahead; what was read ahead and not
// taken is lost for whoever reads the same input later.
//
// Do not mix a stream with <cstdio> on the same descriptor without flushing: each has its buffer.
//
// Errors: std::system_error (EBADF) for a descriptor that is closed, or not open in that direction;
// those of reading and writing as for other streams. SIGPIPE is not raised. Threads: the loop's.
#pragma once

#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/writer.hpp>

#include <cstddef>

namespace asyncio {

/// A StreamReader that stops reading when it goes.
class StandardInput final : public StreamReader {
  public:
    explicit StandardInput(Ref<stream::StreamCore> core) noexcept;
    StandardInput(StandardInput&&) noexcept = default;
    StandardInput& operator=(StandardInput&& other) noexcept;
    ~StandardInput();

    /// Stop reading; reads give what is there, then the end. Idempotent.
    void close() noexcept;

  private:
    Ref<stream::StreamCore> core_;
};

/// `limit`: of the reader, bytes; see open_connection.
StandardInput open_stdin(std::size_t limit = stream::StreamCore::kDefaultLimit);
StreamWriter open_stdout();
StreamWriter open_stderr();

namespace file {
/// The same for any descriptor that belongs to others, too.
StandardInput open_input(int fd, std::size_t limit);
StreamWriter open_output(int fd);
}  // namespace file

}  // namespace asyncio
