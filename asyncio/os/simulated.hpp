// SPDX-License-Identifier: MIT
//
// SimulatedSystem: who answers the calls of this room for descriptors that the real system did not
// give. A simulation (testing/simulation.hpp) runs a whole network of hosts in one thread; the
// library above makes its calls as ever, and this is where they turn off.
//
// The seam costs ordinary programs one comparison a call: simulated descriptors are numbers that
// the system never gives, from kFirstSimulated on, files from kFirstSimulatedFile on. So it is
// clear from the number where a call goes, and os::Fd, Kernel::close() and every copy of the number
// are right by themselves. Only the calls that make a descriptor, or take a name or a path, ask
// whether this thread simulates a host now.
//
// Rejected: the kernel interface owning sockets (names, options and shutdown would be virtual calls
// in every program, through a loop that many callers do not have at hand); replacing the calls at
// link time (one program could not do both).
//
// The meaning of each call is that of the function of its name in os/socket.hpp, os/datagram.hpp,
// os/pipe.hpp, os/file.hpp, os/file_call.hpp, os/inotify.hpp and os/spawn.hpp.
//
// Threads: one system a thread; it is set while code of one of its hosts runs.
#pragma once

#include <asyncio/os/socket_address.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

struct iovec;

namespace asyncio {
template <class>
class UniqueFunction;
}

namespace asyncio::os {

enum class Shutdown : std::uint8_t;
struct ExitStatus;
struct FileCall;
struct SpawnRequest;
struct Spawned;

inline constexpr int kFirstSimulated = 1 << 30;
inline constexpr int kFirstSimulatedFile = kFirstSimulated + (1 << 20);

/// The files of a simulated host.
class SimulatedFiles {
  public:
    struct Entry {
        std::string name;
        std::uint64_t inode;
        unsigned char type;  // DT_...
    };

    virtual ~SimulatedFiles() = default;

    virtual int perform(const FileCall& call) noexcept = 0;
    virtual std::int64_t seek(int fd, std::int64_t offset, int whence) noexcept = 0;
    virtual int open_flags(int fd) noexcept = 0;
    virtual int set_mode(int fd, unsigned mode) noexcept = 0;
    virtual int set_mode(const char* path, unsigned mode) noexcept = 0;
    virtual int read_link(const char* path, std::string& target) = 0;
    virtual int real_path(const char* path, std::string& real) = 0;
    /// What is in the directory `fd`, all at once.
    virtual int read_directory(int fd, std::vector<Entry>& entries) = 0;
};

/// The programs that a simulated host can run: os/spawn.hpp.
class SimulatedPrograms {
  public:
    virtual ~SimulatedPrograms() = default;

    virtual Spawned spawn(const SpawnRequest& request) = 0;
    virtual ExitStatus reap(int pidfd) noexcept = 0;
    virtual int send_signal(int pidfd, int signal) = 0;
};

class SimulatedSystem {
  public:
    virtual ~SimulatedSystem() = default;

    virtual int open_socket(int family, int type) noexcept = 0;
    virtual void close(int fd) noexcept = 0;

    virtual int bind(int fd, const SocketAddress& address) noexcept = 0;
    virtual int listen(int fd, int backlog) noexcept = 0;
    virtual int connect(int fd, const SocketAddress& address) noexcept = 0;
    virtual int accept(int fd) noexcept = 0;
    virtual int shutdown(int fd, Shutdown how) noexcept = 0;

    virtual int local_address(int fd, SocketAddress& address) noexcept = 0;
    virtual int peer_address(int fd, SocketAddress& address) noexcept = 0;
    virtual int set_option(int fd, int level, int name, int value) noexcept = 0;
    virtual int get_option(int fd, int level, int name, int& value) noexcept = 0;

    virtual std::ptrdiff_t send(int fd, const iovec* buffers, std::size_t count) noexcept = 0;
    virtual std::ptrdiff_t receive(int fd, std::span<std::byte> buffer) noexcept = 0;
    virtual std::ptrdiff_t send_to(int fd, std::span<const std::byte> data,
                                   const SocketAddress* to) noexcept = 0;
    virtual std::ptrdiff_t receive_from(int fd, std::span<std::byte> buffer,
                                        SocketAddress& from) noexcept = 0;

    virtual int join_group(int fd, const SocketAddress& group) noexcept = 0;
    virtual int leave_group(int fd, const SocketAddress& group) noexcept = 0;

    /// The addresses of that name; none: nobody has it.
    virtual std::vector<SocketAddress> look_up(const std::string& host, std::uint16_t port) = 0;

    virtual int make_pipe(int& read_end, int& write_end) noexcept = 0;
    virtual int duplicate(int fd) noexcept = 0;

    virtual int open_inotify() noexcept = 0;
    virtual int add_watch(int fd, const char* path, std::uint32_t what) noexcept = 0;
    virtual int remove_watch(int fd, int watch) noexcept = 0;
    virtual std::ptrdiff_t read_records(int fd, std::span<std::byte> buffer) noexcept = 0;
    virtual std::size_t unread_bytes(int fd) noexcept = 0;

    virtual SimulatedFiles& files() noexcept = 0;
    virtual SimulatedPrograms& programs() noexcept = 0;

    /// What ordinary programs give to a thread; it runs in this one, at a time of its own.
    virtual void run_later(UniqueFunction<void()> job) = 0;
    /// All of that now: somebody waits for it without going back to his loop.
    virtual void run_jobs() = 0;

    /// Where ordinary programs take random bits from the system.
    virtual std::uint64_t random_bits() noexcept = 0;
};

/// The host whose code runs in this thread now; null in ordinary programs.
extern thread_local constinit SimulatedSystem* simulated_system;

inline bool is_simulated(int fd) noexcept { return fd >= kFirstSimulated; }
inline bool is_simulated_file(int fd) noexcept { return fd >= kFirstSimulatedFile; }

/// Who answers for `fd`; null: the real system.
inline SimulatedSystem* system_of(int fd) noexcept {
    if (!is_simulated(fd)) [[likely]]
        return nullptr;
    return simulated_system;
}

/// Who has the files that `fd` (a descriptor, or AT_FDCWD) leads to; null: the real system.
inline SimulatedFiles* files_of(int fd) noexcept {
    if (simulated_system == nullptr) [[likely]]
        return nullptr;
    return fd < 0 || is_simulated(fd) ? &simulated_system->files() : nullptr;
}

}  // namespace asyncio::os
