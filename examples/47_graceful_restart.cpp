// SPDX-License-Identifier: MIT
//
// A server that is replaced while it runs, without refusing or breaking a connection.
//
//     ./dev example 47 8888            port 0 picks a free one
//     kill -HUP PID                    as often as you like
//
// On SIGHUP it starts its program anew, which takes over the listening socket: it is the same
// socket, so what connects meanwhile waits in its queue. The old process stops to accept, says
// its last lines to those it still has, and ends with the last of them. A program that cannot be
// started leaves everything as it was.
//
// By the same argument it is a service that systemd activates by its socket (descriptor 3):
//     ExecStart=/usr/bin/example_47_graceful_restart --listener 3
#include <asyncio/asyncio.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include <spawn.h>
#include <unistd.h>

using asyncio::Coro;

Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    const std::string by = std::to_string(::getpid()) + ": ";
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        writer.write(by + *line);
        co_await writer.drain();
    }
}

/// Start this program, with `listener` as one of its descriptors; an errno if that fails. It is no
/// asyncio::Process: those end with the loop that started them.
int start_successor(char* program, int listener) {
    std::string number = std::to_string(listener);
    char option[] = "--listener";
    char* arguments[] = {program, option, number.data(), nullptr};
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, listener, listener);  // not closed by exec
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, program, &actions, nullptr, arguments, ::environ);
    ::posix_spawn_file_actions_destroy(&actions);
    return error;
}

Coro<asyncio::Server> listen(const char* port, int listener) {
    asyncio::ServerOptions options;
    if (listener >= 0) {
        options.sock = listener;
        co_return co_await asyncio::start_server(echo, options);
    }
    co_return co_await asyncio::start_server(echo, "127.0.0.1", asyncio::Port(port), options);
}

Coro<> serve(char* program, const char* port, int listener) {
    auto hangups = asyncio::open_signal_receiver(SIGHUP);
    asyncio::Server server = co_await listen(port, listener);
    const asyncio::TransportSocket socket = server.sockets()[0];
    std::printf("%d is listening on %s\n", ::getpid(), socket.getsockname().to_string().c_str());
    std::fflush(stdout);
    while (auto hangup = co_await hangups.next()) {
        const int error = start_successor(program, socket.fileno());
        if (error == 0) break;
        std::fprintf(stderr, "%s: %s; going on\n", program, std::strerror(error));
    }
    server.close();
    co_await server.wait_closed();
    std::printf("%d has no more connections\n", ::getpid());
}

int main(int argc, char** argv) try {
    const bool inherits = argc == 3 && std::strcmp(argv[1], "--listener") == 0;
    asyncio::run(serve(argv[0], argc > 1 ? argv[1] : "8888", inherits ? std::atoi(argv[2]) : -1));
} catch (const asyncio::KeyboardInterrupt&) {
    std::puts("bye");
}
