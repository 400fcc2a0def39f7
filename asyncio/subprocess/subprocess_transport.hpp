// SPDX-License-Identifier: MIT
//
// SubprocessTransport and SubprocessProtocol: a program at the level of callbacks.
//
//     auto [transport, protocol] = co_await loop.subprocess_exec(
//         [] { return std::make_unique<Lines>(); }, {.stdout_ = asyncio::PIPE}, "ls", "-l");
//
// Order: connection_made; then, for each descriptor, pipe_data_received* and pipe_connection_lost,
// with process_exited anywhere among them; connection_lost last, when the program has ended and all
// pipes are closed. All but connection_made come from the loop. What one of them throws is reported
// to the loop's exception handler, and nothing ends with it; what connection_made throws ends the
// program, and whoever started it gets it. If a pipe cannot be opened, the program is killed,
// whoever started it gets the error, and the protocol is told nothing, as it has heard of no
// connection.
//
// A transport keeps itself and its protocol until connection_lost returned, or the loop closed.
// Threads: the loop's.
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/base/shared.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/stream/protocol.hpp>
#include <asyncio/subprocess/options.hpp>

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asyncio {

namespace os {
class Fd;
}
namespace subprocess {
class Child;
class Launch;
struct OurEnds;
}  // namespace subprocess

class SubprocessTransport;

class SubprocessProtocol : public RefCounted {
  public:
    virtual ~SubprocessProtocol() = default;
    virtual void connection_made(SubprocessTransport&) {}
    /// `fd`: 1 or 2, as the program numbers it.
    virtual void pipe_data_received(int fd, std::span<const std::byte>) { (void)fd; }
    /// `error`: why, or null.
    virtual void pipe_connection_lost(int fd, std::exception_ptr error) { (void)fd, (void)error; }
    virtual void process_exited() {}
    virtual void connection_lost(std::exception_ptr error) { (void)error; }
    /// Of the program's stdin: see Transport.
    virtual void pause_writing() {}
    virtual void resume_writing() {}

    void destroy() noexcept;
    /// While references exist, `owner` owns this, not they.
    void keep_by(Shared<void> owner) noexcept { owner_ = std::move(owner); }

  private:
    Shared<void> owner_;
};

class SubprocessTransport final : public RefCounted, private loop::Member, private Runnable {
  public:
    /// Start what `launch` says; calls connection_made. Throws what it throws, and
    /// std::system_error.
    static Ref<SubprocessTransport> start(EventLoop& loop, subprocess::Launch& launch,
                                          Ref<SubprocessProtocol> protocol);
    void destroy() noexcept { delete this; }

    int get_pid() const noexcept;
    std::optional<int> get_returncode() const noexcept;
    /// The transport of the program's descriptor 0, 1 or 2; null if it does not lead to us.
    Transport* get_pipe_transport(int fd) const noexcept;

    /// std::system_error (ESRCH) once the end is known.
    void send_signal(int signal);
    void terminate();
    void kill();

    /// Close the pipes, and kill the program if it still runs. Idempotent.
    void close();
    bool is_closing() const noexcept { return closing_; }

  private:
    class Pipe;

    SubprocessTransport(EventLoop& loop, Ref<subprocess::Child> child,
                        Ref<SubprocessProtocol> protocol);
    ~SubprocessTransport();

    void open_pipes(subprocess::OurEnds& ends);
    void open_pipe(int fd, os::Fd& end, bool both);
    void abandon();
    void pipe_lost(int fd, std::exception_ptr error);
    static void take_turn(Runnable& runnable, Turn turn);
    void finish_if_over();
    void loop_closed() noexcept override;
    template <class Call>
    void tell(const char* what, Call&& call) noexcept;

    EventLoop& loop_;
    Ref<subprocess::Child> child_;
    Ref<SubprocessProtocol> protocol_;
    Ref<Pipe> pipes_[3];
    int open_pipes_ = 0;
    bool exited_ = false;
    bool closing_ = false;
};

namespace subprocess {

struct Opened {
    Ref<SubprocessTransport> transport;
    Ref<SubprocessProtocol> protocol;
};
using Factory = Owned<stream::FactoryOf<SubprocessProtocol>>;

/// Make a protocol, start the program.
Coro<Opened> open(Factory factory, SubprocessOptions options, std::vector<std::string> words);

/// The protocol is known again by its type.
template <class F>
Coro<std::pair<Ref<SubprocessTransport>, Ref<stream::ProtocolOf<F>>>> with_protocol_of(
    Coro<Opened> opening) {
    using P = stream::ProtocolOf<F>;
    Opened opened = co_await std::move(opening);
    Ref<P> protocol(static_cast<P*>(opened.protocol.get()));
    co_return std::pair<Ref<SubprocessTransport>, Ref<P>>(std::move(opened.transport),
                                                          std::move(protocol));
}

}  // namespace subprocess

/// Run a program with a protocol on its pipes; factory() makes the protocol. Options as
/// create_subprocess_exec's; unlike asyncio's, nothing is a pipe by default.
template <class F, class... Arguments>
ASYNCIO_CORO_WRAPPER auto EventLoop::subprocess_exec(F factory, SubprocessOptions options,
                                                     std::string_view program,
                                                     const Arguments&... arguments) {
    static_assert((std::convertible_to<Arguments, std::string_view> && ...),
                  "the arguments of a program are strings");
    return subprocess::with_protocol_of<F>(
        subprocess::open(stream::make_factory<SubprocessProtocol>(std::move(factory)), options,
                         subprocess::words_of({program, std::string_view(arguments)...})));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto EventLoop::subprocess_shell(F factory, SubprocessOptions options,
                                                      std::string_view command) {
    return subprocess::with_protocol_of<F>(
        subprocess::open(stream::make_factory<SubprocessProtocol>(std::move(factory)), options,
                         subprocess::words_of({"/bin/sh", "-c", command})));
}

}  // namespace asyncio
