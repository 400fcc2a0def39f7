// SPDX-License-Identifier: MIT
//
// ServerCore: the listening sockets, the connections, and who waits for their end.
//
//     created --start_serving()--> serving --close()--> closed
//        '------------------------close()----------------^
//
// Each listening socket has one multishot accept operation. A connection becomes a transport in the
// list here; what sits on the transport is up to the Acceptor: streams and a task for their handler
// (server.cpp), or a protocol of the user (create_server.hpp). It leaves the list when the
// connection is lost, whatever became of the task; the server has ended when both are gone.
// Who has connected when the server is closed is served as any other client. Left alone, those whom
// nobody has accepted yet would be reset by the system; and where other processes wait at the same
// listening socket, too, they would stand there unseen: of several rings the system wakes one for
// each connection, and passes that on to no other when the ring's accept is taken back.
//
// A unix server's socket file goes with its listener, if it still is the file that was bound.
//
// Out of descriptors (EMFILE, ENFILE, ENOBUFS, ENOMEM): reported, at most once in
// kAcceptRetryDelay, and accepting pauses for
// kAcceptRetryDelay instead of spinning, or until a connection of the server ends: its descriptor
// is free again. The server keeps itself alive from start_serving() to close(). The end of the loop
// closes it, and drops the records of its connections.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/time.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/net/server_options.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/unix_socket.hpp>
#include <asyncio/task/wait_list.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace asyncio {

namespace net {

class ServerCore;

/// What a server makes of the connections it accepts.
class Acceptor {
  public:
    virtual ~Acceptor() = default;
    /// For a new connection. What it throws is reported, and the connection closed.
    virtual Ref<stream::Protocol> make_protocol() = 0;
    /// Its transport has called connection_made. May throw, too.
    virtual void connected(ServerCore&, stream::Transport&, stream::Protocol&) {}
};

inline constexpr Duration kAcceptRetryDelay = std::chrono::seconds(1);
/// More than these cannot wait at a listening socket, by the system's own limit (somaxconn).
inline constexpr int kMostAcceptedAtClose = 4096;

class ServerCore final : public LossListener, private loop::Member {
  public:
    ServerCore(EventLoop& loop, std::unique_ptr<Acceptor> acceptor, ServerOptions options) noexcept;
    void destroy() noexcept override { delete this; }

    /// A socket file, to be removed with its listener.
    struct SocketFile {
        std::string path;
        os::FileIdentity identity;
    };
    /// Takes a bound socket; listens when serving starts.
    void add_socket(os::Fd fd, SocketFile file = {});
    void start_serving();
    void close();
    void close_clients();
    void abort_clients();

    bool is_serving() const noexcept { return stage_ == Stage::serving; }
    bool is_closed() const noexcept { return stage_ == Stage::closed; }
    bool finished() const noexcept { return is_closed() && clients_.empty() && handlers_ == 0; }
    EventLoop& loop() const noexcept { return loop_; }
    std::vector<int> sockets() const;
    const ServerOptions& options() const noexcept { return options_; }

    /// Woken by close(), and when the last connection of a closed server has ended.
    task::WaitList& changed() noexcept { return changed_; }

    /// Counts a handler from its task's creation to its end: what it refers to must outlive it, so
    /// wait_closed() waits.
    class RunningHandler {
      public:
        explicit RunningHandler(ServerCore& server) noexcept : server_(&server) {
            ++server.handlers_;
        }
        RunningHandler(RunningHandler&&) noexcept = default;
        RunningHandler& operator=(RunningHandler&&) = delete;
        ~RunningHandler() {
            if (!server_) return;
            --server_->handlers_;
            if (server_->finished()) server_->changed_.wake_all();
        }
        ServerCore& server() const noexcept { return *server_; }

      private:
        Ref<ServerCore> server_;
    };

    bool served_forever = false;  // a task is in serve_forever()

  private:
    enum class Stage : std::uint8_t { created, serving, closed };
    class Listener;

    ~ServerCore();
    void accepted(os::Fd fd);
    void connection_lost() noexcept override;
    void accept_failed(Listener& listener, int errno_value);
    void loop_closed() noexcept override;

    EventLoop& loop_;
    std::unique_ptr<Acceptor> acceptor_;
    ServerOptions options_;
    ContextSlot context_;  // of who started serving; each connection has a copy
    std::vector<std::unique_ptr<Listener>> listeners_;
    IntrusiveList<SocketTransport> clients_;  // until they are lost
    std::size_t handlers_ = 0;                // that run
    TimePoint next_accept_report_ = {};       // of one that fails; not before
    task::WaitList changed_;
    Stage stage_ = Stage::created;
};

Coro<> serve_forever(Ref<ServerCore> core);
Coro<> wait_closed(Ref<ServerCore> core);

}  // namespace net
}  // namespace asyncio
