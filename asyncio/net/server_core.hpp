// SPDX-License-Identifier: MIT
//
// ServerCore: the listening sockets, the connections, and who waits for their end.
//
//     created --start_serving()--> serving --close()--> closed
//        '------------------------close()----------------^
//
// Each listening socket has one multishot accept operation. A connection becomes: a transport, the
// streams' core, a Client record here, and a task for the handler. The record leaves when the
// connection is lost, whatever became of the task; the server has ended when both are gone.
//
// Out of descriptors (EMFILE, ENFILE, ENOBUFS, ENOMEM): reported, and accepting pauses for
// kAcceptRetryDelay instead of spinning. The server keeps itself alive from start_serving() to
// close(). The end of the loop closes it, and drops the records of its connections.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/writer.hpp>
#include <asyncio/task/wait_list.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace asyncio {

class Server;

struct ServerOptions {
    std::size_t limit = stream::StreamCore::kDefaultLimit;  // of each reader, bytes
    int backlog = 100;  // connections the system queues before they are accepted
    bool reuse_address = true;
    bool reuse_port = false;    // several servers, one port: the system spreads connections
    bool keep_alive = false;    // TCP keep-alive on the connections
    bool start_serving = true;  // false: only after Server::start_serving()
    int sock = -1;              // a bound stream socket to take over, instead of host and port
};

namespace net {

/// The user's handler, whatever its shape.
class ClientHandler {
  public:
    virtual ~ClientHandler() = default;
    ASYNCIO_CORO_WRAPPER virtual Coro<> call(StreamReader& reader, StreamWriter& writer) = 0;
};

inline constexpr Duration kAcceptRetryDelay = std::chrono::seconds(1);

class ServerCore final : public RefCounted, private loop::Member {
  public:
    ServerCore(EventLoop& loop, std::unique_ptr<ClientHandler> handler,
               ServerOptions options) noexcept;
    void destroy() noexcept { delete this; }

    /// Takes a bound socket; listens when serving starts.
    void add_socket(os::Fd fd);
    void start_serving();
    void close();
    void close_clients();
    void abort_clients();

    bool is_serving() const noexcept { return stage_ == Stage::serving; }
    bool is_closed() const noexcept { return stage_ == Stage::closed; }
    bool finished() const noexcept { return is_closed() && clients_.empty() && handlers_ == 0; }
    EventLoop& loop() const noexcept { return loop_; }
    std::vector<int> sockets() const;
    ClientHandler& handler() noexcept { return *handler_; }

    /// Woken by close(), and when the last connection of a closed server has ended.
    task::WaitList& changed() noexcept { return changed_; }

    /// Counts a handler while it runs: what it refers to must outlive it, so wait_closed() waits.
    class RunningHandler {
      public:
        explicit RunningHandler(ServerCore& server) noexcept : server_(server) {
            ++server_.handlers_;
        }
        RunningHandler(const RunningHandler&) = delete;
        RunningHandler& operator=(const RunningHandler&) = delete;
        ~RunningHandler() {
            --server_.handlers_;
            if (server_.finished()) server_.changed_.wake_all();
        }

      private:
        ServerCore& server_;
    };

    bool served_forever = false;  // a task is in serve_forever()

  private:
    enum class Stage : std::uint8_t { created, serving, closed };
    class Listener;
    class Client;

    ~ServerCore();
    void accepted(os::Fd fd);
    void accept_failed(Listener& listener, int errno_value);
    void loop_closed() noexcept override;

    EventLoop& loop_;
    std::unique_ptr<ClientHandler> handler_;
    ServerOptions options_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    IntrusiveList<Client> clients_;
    std::size_t handlers_ = 0;  // that run
    task::WaitList changed_;
    Stage stage_ = Stage::created;
};

Coro<Server> start_server(std::unique_ptr<ClientHandler> handler, std::vector<std::string> hosts,
                          std::uint16_t port, ServerOptions options);
Coro<> serve_forever(Ref<ServerCore> core);
Coro<> wait_closed(Ref<ServerCore> core);

}  // namespace net
}  // namespace asyncio
