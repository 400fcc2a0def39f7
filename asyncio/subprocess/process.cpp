// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/stream/bytes.hpp>
#include <asyncio/subprocess/child.hpp>
#include <asyncio/subprocess/launch.hpp>
#include <asyncio/subprocess/process.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>

#include <sys/ioctl.h>

namespace asyncio {

namespace {

using Core = Ref<stream::StreamCore>;
using net::Direction;

constexpr std::size_t kInputPiece = 65536;
constexpr std::string_view kEndOfTransmission = "\x04";  // Ctrl-D; at the start of a line

/// A program that does not want its input is no error.
bool is_disinterest(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::system_error& e) {
        return e.code().value() == EPIPE || e.code().value() == ECONNRESET;
    } catch (...) {
        return false;
    }
}

Coro<> write_pieces(Core in, std::string_view input) {
    while (!input.empty()) {
        in->transport()->write(stream::bytes_of(input.substr(0, kInputPiece)));
        input.remove_prefix(std::min(input.size(), kInputPiece));
        co_await stream::OnStream<stream::DrainAwaiter>(in);
    }
}

/// Goes on when an output's failure has ended communicate(), so all that it touches is its own.
/// A terminal has one stream for both directions, so its input is ended as a person does it.
Coro<> feed(Core in, std::string input, bool terminal) {
    if (!in) co_return;
    Outcome<void> fed = co_await as_outcome(write_pieces(in, input));
    if (!fed && !is_disinterest(fed.error())) fed.value();
    if (terminal)
        in->transport()->write(stream::bytes_of(kEndOfTransmission));
    else
        in->transport()->close();
}

/// A read for the end of a stream, which takes nothing: who is cancelled after it loses nothing.
struct UntilEnd : stream::BufferedRequest {
    static constexpr const char* kName = "communicate";
    using Result = void;

    bool ready(const stream::StreamCore& core) const { return core.over(); }
    void take(const stream::StreamCore& core) const { core.throw_if_failed(); }
};

Coro<> wait_for_end(Core core) {
    if (core) co_await stream::Read<UntilEnd>(core, UntilEnd());
}

std::string take_all(const Core& core) {
    return core ? core->buffer().take(core->buffer().size()) : std::string();
}

Coro<int> wait_for_exit(Ref<subprocess::Child> child) {
    while (!child->returncode()) co_await task::NextWake(child->exited());
    co_return *child->returncode();
}

Core open_stream(EventLoop& loop, os::Fd& fd, std::size_t limit, Direction direction) {
    if (!fd) return Core();
    Core core(new stream::StreamCore(limit));
    net::SocketTransport::open_pipe(loop, fd.get(), core, direction);
    (void)fd.release();  // taken now
    return core;
}

void abort_stream(const Core& core) {
    if (core && core->transport() != nullptr) core->transport()->abort();
}

/// If one of the streams cannot be opened, kill what was started, and close the others: what the
/// program has started itself may hold their far ends for long.
struct Opening {
    ~Opening() {
        if (!child) return;
        child->kill();
        abort_stream(terminal);
        for (const Core& stream : streams) abort_stream(stream);
    }
    Ref<subprocess::Child> child;
    Core terminal;
    Core streams[3];
};

void open_streams(const subprocess::Launch& launch, subprocess::OurEnds& ends, Opening& opening) {
    EventLoop& loop = opening.child->loop();
    const std::size_t limit = launch.limit();
    Core* const streams = opening.streams;
    try {
        opening.terminal = open_stream(loop, ends.terminal, limit, Direction::both);
        for (int i = 0; i < 3; ++i) {
            const Direction direction = i == 0 ? Direction::write : Direction::read;
            streams[i] = ends.on_terminal[i] ? opening.terminal
                                             : open_stream(loop, ends.pipes[i], limit, direction);
        }
    } catch (...) {
        launch.rethrow_of_ends();
    }
    if (ends.on_terminal[1] && ends.on_terminal[2]) streams[2] = Core();  // comes out of the first
}

}  // namespace

namespace subprocess {

namespace {

Coro<Process> run(Launch launch) {
    EventLoop& loop = get_running_loop();
    OurEnds ends;
    const Ref<Child> child = Child::make(loop, launch.program());
    child->watch(launch.run(ends));
    Opening opening{child, Core(), {}};
    open_streams(launch, ends, opening);
    auto& [in, out, err] = opening.streams;
    co_return Process(std::move(opening.child), std::move(in), std::move(out), std::move(err));
}

}  // namespace

ASYNCIO_CORO_WRAPPER Coro<Process> start(SubprocessOptions options,
                                         std::vector<std::string> words) {
    return run(Launch(options, std::move(words)));
}

}  // namespace subprocess

Process::Process(Ref<subprocess::Child> child, Core in, Core out, Core err)
    : child_(std::move(child)),
      in_(std::move(in)),
      out_(std::move(out)),
      err_(std::move(err)),
      writer_(in_),
      reader_(out_),
      error_reader_(err_) {}

Process::Process(Process&&) noexcept = default;

Process& Process::operator=(Process&& other) noexcept {
    if (this == &other) return *this;
    close_streams();
    child_ = std::move(other.child_);
    in_ = std::move(other.in_);
    out_ = std::move(other.out_);
    err_ = std::move(other.err_);
    writer_ = std::move(other.writer_);
    reader_ = std::move(other.reader_);
    error_reader_ = std::move(other.error_reader_);
    return *this;
}

Process::~Process() { close_streams(); }

/// What was written is still sent; nobody will read any more.
void Process::close_streams() noexcept {
    if (writer_.valid()) writer_.close();
    if (out_ != in_) abort_stream(out_);
    abort_stream(err_);
}

int Process::pid() const noexcept { return child_->pid(); }
std::optional<int> Process::returncode() const noexcept { return child_->returncode(); }

StreamWriter& Process::stdin_() {
    if (!in_) throw std::logic_error("stdin_ of " + child_->program() + " is not a PIPE");
    return writer_;
}

StreamReader& Process::stdout_() {
    if (!out_) throw std::logic_error("stdout_ of " + child_->program() + " is not a PIPE");
    return reader_;
}

StreamReader& Process::stderr_() {
    if (!err_) throw std::logic_error("stderr_ of " + child_->program() + " is not a PIPE");
    return error_reader_;
}

ASYNCIO_CORO_WRAPPER Coro<int> Process::wait() const { return wait_for_exit(child_); }

/// What was read stays in the streams until nothing is left to wait for.
Coro<Communicated> Process::communicate(std::string input) {
    co_await gather(feed(in_, std::move(input), in_ && in_ == out_), wait_for_end(out_),
                    wait_for_end(err_));
    co_await wait();
    Communicated result;
    result.out = take_all(out_);
    result.err = take_all(err_);
    co_return result;
}

void Process::send_signal(int signal) const { child_->send_signal(signal); }
void Process::terminate() const { send_signal(SIGTERM); }
void Process::kill() const { send_signal(SIGKILL); }

void Process::set_terminal_size(TerminalSize size) const {
    const stream::StreamCore* core = in_ ? in_.get() : out_.get();
    const int fd =
        core != nullptr && core->transport() != nullptr ? core->transport()->fileno() : -1;
    winsize wanted = {};
    wanted.ws_row = size.rows;
    wanted.ws_col = size.columns;
    if (::ioctl(fd, TIOCSWINSZ, &wanted) != 0)
        os::throw_system_error(errno, "set the terminal size of " + child_->program());
}

ASYNCIO_CORO_WRAPPER Coro<Process> create_subprocess_exec(SubprocessOptions options,
                                                          std::vector<std::string> arguments) {
    return subprocess::start(options, std::move(arguments));
}

ASYNCIO_CORO_WRAPPER Coro<Process> create_subprocess_shell(SubprocessOptions options,
                                                           std::string_view command) {
    return subprocess::start(options, subprocess::words_of({"/bin/sh", "-c", command}));
}

ASYNCIO_CORO_WRAPPER Coro<Process> create_subprocess_shell(std::string_view command) {
    return create_subprocess_shell(SubprocessOptions(), command);
}

}  // namespace asyncio
