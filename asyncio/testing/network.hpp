// SPDX-License-Identifier: MIT
//
// Network: hosts in one process that reach each other by streams and datagrams, in memory and in
// virtual time. It is the world that a SimulatedKernel and the calls of os/ see; the rules are
// those of TCP and UDP as Linux applies them, as far as a program can tell:
//
//   streams     connect waits for a packet there and back. Nobody listens: refused. A full backlog,
//   or a
//               host that is cut off or without power, does not answer: the packet is sent again
//               (after 1, 2, 4, ... s), and after kConnectPatience that is ETIMEDOUT. What was sent
//               arrives in order, after the latency; a lost packet is late instead (it was sent
//               again), and what does not get through for kStreamPatience breaks the stream with
//               ETIMEDOUT. The window (bytes under way and unread) bounds a sender. shutdown and
//               close send an end behind the data; closing with unread data, or lingering for 0 s,
//               sends a reset instead, as does whoever gets data for a socket that is gone, also a
//               host that was restarted meanwhile. After a reset what had arrived can still be
//               read.
//   datagrams   arrive once, twice or never, in any order; a full receive buffer drops them; a
//   connected
//               socket whose peer has no such port gets ECONNREFUSED.
//   names       each host has one IPv4 and one IPv6 address, and a name; 127.0.0.1, ::1 and
//   localhost
//               are itself. A unix socket's path is a name within its host.
//
//          connect()           greeting            greeting back
//   fresh ----------> connecting ------> (backlog) -------------> connected --> broken
//      '--> listening      '--> failed: refused, timed out             '-> ends of either side
//
// Every host has descriptors of its own, the lowest free number first, as a process has: so a
// number that is used again after a close is somebody else's here, too.
//
// A pipe is a stream within a host that goes one way, has no latency to speak of and no faults, and
// ends with EPIPE when nobody can read it any more.
//
// Datagrams to a multicast group reach the sockets that have joined it, those to 255.255.255.255
// all that are bound to the port; each host is reached, or not, by itself. Hosts have one
// interface.
//
// Not here: urgent data, passing descriptors, MTU, TIME_WAIT.
//
// A host's files are on its disk (disk.hpp); what ordinary programs give to threads runs in the
// simulation's, between two turns, up to kLongestJob later.
//
// Threads: of the simulation.
#pragma once

#include <asyncio/os/simulated.hpp>
#include <asyncio/testing/agenda.hpp>
#include <asyncio/testing/disk.hpp>
#include <asyncio/testing/network_faults.hpp>
#include <asyncio/testing/random.hpp>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::testing {

class Network;
class SimulatedInotify;
struct SimulatedExit;
struct SimulatedSocket;
struct SimulatedStream;

class NetworkHost final : public os::SimulatedSystem {
  public:
    static constexpr std::size_t kMostSockets = 20'000;         // then EMFILE
    static constexpr std::size_t kDatagramBuffer = 256 * 1024;  // bytes, per socket
    static constexpr std::size_t kLargestDatagram = 65'507;
    static constexpr std::size_t kPipe = 64 * 1024;  // bytes in one
    static constexpr Duration kLongestJob = std::chrono::milliseconds(1);

    NetworkHost(Network& network, unsigned number, std::string name);
    NetworkHost(const NetworkHost&) = delete;
    NetworkHost& operator=(const NetworkHost&) = delete;
    ~NetworkHost() override;

    const std::string& name() const noexcept { return name_; }
    unsigned number() const noexcept { return number_; }
    /// Its address, with port 0.
    SocketAddress address(int family) const;

    // --- the calls of os/ ------------------------------------------------------------------

    int open_socket(int family, int type) noexcept override;
    void close(int fd) noexcept override;
    int bind(int fd, const SocketAddress& address) noexcept override;
    int listen(int fd, int backlog) noexcept override;
    int connect(int fd, const SocketAddress& address) noexcept override;
    int accept(int fd) noexcept override;
    int shutdown(int fd, os::Shutdown how) noexcept override;
    int local_address(int fd, SocketAddress& address) noexcept override;
    int peer_address(int fd, SocketAddress& address) noexcept override;
    int set_option(int fd, int level, int name, int value) noexcept override;
    int get_option(int fd, int level, int name, int& value) noexcept override;
    std::ptrdiff_t send(int fd, const iovec* buffers, std::size_t count) noexcept override;
    std::ptrdiff_t receive(int fd, std::span<std::byte> buffer) noexcept override;
    std::ptrdiff_t send_to(int fd, std::span<const std::byte> data,
                           const SocketAddress* to) noexcept override;
    std::ptrdiff_t receive_from(int fd, std::span<std::byte> buffer,
                                SocketAddress& from) noexcept override;
    int join_group(int fd, const SocketAddress& group) noexcept override;
    int leave_group(int fd, const SocketAddress& group) noexcept override;
    std::vector<SocketAddress> look_up(const std::string& host, std::uint16_t port) override;
    int make_pipe(int& read_end, int& write_end) noexcept override;
    int duplicate(int fd) noexcept override;
    int open_inotify() noexcept override;
    int add_watch(int fd, const char* path, std::uint32_t what) noexcept override;
    int remove_watch(int fd, int watch) noexcept override;
    std::ptrdiff_t read_records(int fd, std::span<std::byte> buffer) noexcept override;
    std::size_t unread_bytes(int fd) noexcept override;
    os::SimulatedFiles& files() noexcept override { return disk_; }
    os::SimulatedPrograms& programs() noexcept override { return *programs_; }
    void run_later(UniqueFunction<void()> job) override;
    void run_jobs() override;
    std::uint64_t random_bits() noexcept override { return bits_.next(); }

    // --- for its kernel --------------------------------------------------------------------

    bool has(int fd) const noexcept { return find(fd) != nullptr; }
    /// -EINPROGRESS, 0, or what came of connect().
    int connect_result(int fd) noexcept;
    /// What poll() would say: POLLIN, POLLOUT, POLLERR, POLLHUP.
    unsigned readiness(int fd) const noexcept;
    /// Counts up when something may have become possible for those who wait.
    std::uint64_t changes() const noexcept { return changes_; }
    void note_change() noexcept { ++changes_; }
    Disk& disk() noexcept { return disk_; }

    // --- for its programs ------------------------------------------------------------------

    void set_programs(os::SimulatedPrograms* programs) noexcept { programs_ = programs; }
    int open_nowhere();
    int open_exit(std::shared_ptr<SimulatedExit> exit);
    /// Null: no pidfd.
    SimulatedExit* exit_of(int fd) const noexcept;

    // --- for the simulation ----------------------------------------------------------------

    /// All sockets and jobs vanish, and files that were not saved; nobody is told.
    void lose_power();
    void get_power() noexcept;
    bool powered() const noexcept { return powered_; }
    unsigned life() const noexcept { return life_; }
    /// Descriptors that are open, as "3 (stream 10.0.0.1:80)".
    std::vector<std::string> open_descriptors() const;

  private:
    friend class Network;

    void run_job(std::uint64_t number);
    SimulatedSocket* find(int fd) const noexcept;
    SimulatedInotify* find_inotify(int fd, int& error) const noexcept;
    int enter(std::shared_ptr<SimulatedSocket> socket);
    void end_stream(SimulatedSocket& socket);
    bool is_own(const SocketAddress& address) const;
    bool port_is_taken(const SimulatedSocket& socket, const SocketAddress& address) const;
    int give_name(SimulatedSocket& socket, const SocketAddress& address);
    int name_for(SimulatedSocket& socket, const SocketAddress& remote);
    int connect_stream(SimulatedSocket& socket, const SocketAddress& address);
    SimulatedSocket* listener_of(const SocketAddress& address) const;
    SimulatedSocket* datagram_socket_of(const SocketAddress& address) const;
    std::vector<SimulatedSocket*> sockets_of_group(const SocketAddress& group) const;
    void send_to_all(const SimulatedSocket& socket, const SocketAddress& source,
                     const SocketAddress& to, const std::string& data);

    Network& network_;
    const unsigned number_;
    const std::string name_;
    Disk disk_;
    Random bits_;
    unsigned life_ = 0;
    bool powered_ = true;
    std::uint64_t changes_ = 0;
    std::uint64_t jobs_so_far_ = 0;
    std::map<std::uint64_t, UniqueFunction<void()>> jobs_;  // by number
    std::uint16_t next_port_ = 40'000;
    // By descriptor. Programs share what they inherit; only its last close ends it.
    std::vector<std::shared_ptr<SimulatedSocket>> sockets_;
    os::SimulatedPrograms* programs_ = nullptr;
};

class Network {
  public:
    static constexpr Duration kConnectPatience = std::chrono::seconds(60);
    static constexpr Duration kStreamPatience = std::chrono::seconds(60);
    static constexpr Duration kFirstRetry = std::chrono::milliseconds(200);
    static constexpr Duration kLastRetry = std::chrono::seconds(10);

    Network(Agenda& agenda, Random random, Trace& trace);
    ~Network();

    NetworkHost& add_host(std::string name);
    NetworkHost* host_named(std::string_view name) noexcept;
    NetworkHost* host_at(const SocketAddress& address, NetworkHost& from) noexcept;

    /// Cut or mend the way between two hosts; packets under way wait to be sent again.
    void set_partition(NetworkHost& a, NetworkHost& b, bool cut);
    void heal() noexcept;
    bool reaches(const NetworkHost& from, const NetworkHost& to) const noexcept;

    NetworkFaults faults;

    // --- for the hosts ---------------------------------------------------------------------

    Agenda& agenda() noexcept { return agenda_; }
    Random& random() noexcept { return random_; }
    Trace& trace() noexcept { return trace_; }

    void begin_connect(SimulatedSocket& socket, NetworkHost* target);
    void send_data(const std::shared_ptr<SimulatedStream>& stream, int side, std::string data);
    void send_end(const std::shared_ptr<SimulatedStream>& stream, int side);
    void send_reset(const std::shared_ptr<SimulatedStream>& stream, int side);
    void send_datagram(NetworkHost& from, const SocketAddress& source, const SocketAddress& to,
                       std::string data, int connected_fd);
    /// To all hosts: a multicast group, or broadcast. `far`: also to others than `from`; `loop`:
    /// to `from`, too.
    void send_to_all(NetworkHost& from, const SocketAddress& source, const SocketAddress& to,
                     const std::string& data, bool far, bool loop);

  private:
    struct Greeting;
    Duration latency(const NetworkHost& from, const NetworkHost& to);
    void greet(const std::shared_ptr<Greeting>& greeting);
    void greet_later(const std::shared_ptr<Greeting>& greeting);
    void greeted(const std::shared_ptr<Greeting>& greeting);
    bool answer(const std::shared_ptr<Greeting>& greeting);
    void fly(const std::shared_ptr<SimulatedStream>& stream, int side, int kind, std::string data);
    void schedule(const std::shared_ptr<SimulatedStream>& stream, int side, TimePoint when);
    void land(const std::shared_ptr<SimulatedStream>& stream, int side);
    void land_later(const std::shared_ptr<SimulatedStream>& stream, int side);
    void deliver(const std::shared_ptr<SimulatedStream>& stream, int side, int kind,
                 std::string data);
    void break_end(SimulatedStream& stream, int side, int error);
    int copies_of_datagram(const NetworkHost& from, const NetworkHost& to);
    void deliver_to_all(const NetworkHost& from, NetworkHost& target, const SocketAddress& source,
                        const SocketAddress& to, const std::string& data);
    static void put_datagram(SimulatedSocket& socket, const SocketAddress& source,
                             const std::string& data);
    void deliver_datagram(NetworkHost& from, unsigned life, NetworkHost* target,
                          const SocketAddress& source, const SocketAddress& to,
                          const std::string& data, int connected_fd);

    Agenda& agenda_;
    Random random_;
    Trace& trace_;
    std::uint64_t streams_ = 0;
    std::vector<std::unique_ptr<NetworkHost>> hosts_;
    std::vector<std::pair<unsigned, unsigned>> partitions_;
};

}  // namespace asyncio::testing
