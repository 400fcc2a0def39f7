// SPDX-License-Identifier: MIT
#include <asyncio/os/socket.hpp>
#include <asyncio/testing/network.hpp>
#include <asyncio/testing/simulated_inotify.hpp>
#include <asyncio/testing/simulated_socket.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::testing {

namespace {

using Stage = SimulatedSocket::Stage;

bool is_any(const SocketAddress& address) {
    return !address.is_unix() && (address.host() == "0.0.0.0" || address.host() == "::");
}

bool is_broadcast(const SocketAddress& address) {
    return address.family() == AF_INET && address.host() == "255.255.255.255";
}

bool is_multicast(const SocketAddress& address) {
    if (address.family() == AF_INET6) return address.host().starts_with("ff");
    if (address.family() != AF_INET) return false;
    const int first = std::atoi(address.host().c_str());
    return first >= 224 && first < 240;
}

bool is_loopback(const SocketAddress& address) {
    const std::string host = address.host();
    return host.starts_with("127.") || host == "::1";
}

/// True if a socket bound to `bound` gets what is sent to `to`.
bool serves(const SocketAddress& bound, const SocketAddress& to) {
    if (bound.family() != to.family()) return false;
    if (bound == to) return true;
    return !to.is_unix() && bound.port() == to.port() && is_any(bound);
}

std::size_t total_of(const iovec* buffers, std::size_t count) noexcept {
    std::size_t total = 0;
    for (std::size_t i = 0; i < count; ++i) total += buffers[i].iov_len;
    return total;
}

std::string first_of(const iovec* buffers, std::size_t count, std::size_t size) {
    std::string data;
    data.reserve(size);
    for (std::size_t i = 0; i < count && data.size() < size; ++i)
        data.append(static_cast<const char*>(buffers[i].iov_base),
                    std::min(buffers[i].iov_len, size - data.size()));
    return data;
}

}  // namespace

SimulatedSocket::~SimulatedSocket() {
    if (stream && stream->end[side] == this) stream->end[side] = nullptr;
}

std::size_t SimulatedSocket::room(std::size_t window) const noexcept {
    const std::size_t used = out().flying_bytes + out().unread();
    return used >= window ? 0 : window - used;
}

NetworkHost::NetworkHost(Network& network, unsigned number, std::string name)
    : network_(network),
      number_(number),
      name_(std::move(name)),
      disk_(network.agenda(), network.random().branch()),
      bits_(network.random().branch()) {}

NetworkHost::~NetworkHost() = default;

SocketAddress NetworkHost::address(int family) const {
    const std::string number = std::to_string(number_ / 250) + "." + std::to_string(number_ % 250);
    return *SocketAddress::parse(
        family == AF_INET6 ? "fd00::" + std::to_string(number_) : "10.0." + number, 0);
}

// --- descriptors ---------------------------------------------------------------------------------

SimulatedSocket* NetworkHost::find(int fd) const noexcept {
    const auto index = static_cast<std::size_t>(fd - os::kFirstSimulated);
    return os::is_simulated(fd) && index < sockets_.size() ? sockets_[index].get() : nullptr;
}

/// The lowest number that is free.
int NetworkHost::enter(std::shared_ptr<SimulatedSocket> socket) {
    auto place = std::ranges::find_if(sockets_, [](const auto& taken) { return !taken; });
    if (place == sockets_.end()) {
        if (sockets_.size() >= kMostSockets) return -EMFILE;
        place = sockets_.insert(sockets_.end(), nullptr);
    }
    const int fd = os::kFirstSimulated + static_cast<int>(place - sockets_.begin());
    if (socket->fd < 0) socket->fd = fd;
    *place = std::move(socket);
    return fd;
}

int NetworkHost::open_socket(int family, int type) noexcept {
    if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return -EAFNOSUPPORT;
    return enter(std::make_unique<SimulatedSocket>(*this, family, type));
}

void NetworkHost::close(int fd) noexcept {
    if (os::is_simulated_file(fd)) return disk_.close(fd);
    if (find(fd) == nullptr) return;
    const auto socket =
        std::exchange(sockets_[static_cast<std::size_t>(fd - os::kFirstSimulated)], nullptr);
    if (socket.use_count() == 1) end_stream(*socket);
}

/// Nobody on this side knows it any more.
void NetworkHost::end_stream(SimulatedSocket& socket) {
    for (const auto& waiting : socket.backlog) network_.send_reset(waiting->stream, 1);
    if (!socket.stream || socket.stage != Stage::connected || socket.broken) return;
    const bool is_reset = socket.in().unread() > 0 || socket.lingers_not;
    if (socket.stream->is_pipe && socket.side == 1)
        note_change();  // who writes sees that nobody reads
    else if (is_reset)
        network_.send_reset(socket.stream, socket.side);
    else
        network_.send_end(socket.stream, socket.side);
}

void NetworkHost::lose_power() {
    powered_ = false;
    ++life_;
    sockets_.clear();
    disk_.lose_power();
    jobs_.clear();
}

void NetworkHost::get_power() noexcept {
    powered_ = true;
    disk_.get_power();
}

std::vector<std::string> NetworkHost::open_descriptors() const {
    std::vector<std::string> open = disk_.open_files();
    for (const auto& socket : sockets_) {
        if (!socket) continue;
        const char* kind = socket->stage == Stage::listening           ? "listener "
                           : socket->type == SimulatedSocket::kInotify ? "inotify "
                           : socket->type < 0                          ? "program "
                           : socket->stream && socket->stream->is_pipe ? "pipe "
                           : socket->type == SOCK_STREAM               ? "stream "
                                                                       : "datagrams ";
        open.push_back(std::to_string(socket->fd - os::kFirstSimulated) + " (" + kind +
                       (socket->is_bound() ? socket->local.to_string() : "") + ")");
    }
    return open;
}

// --- jobs ----------------------------------------------------------------------------------------

void NetworkHost::run_later(UniqueFunction<void()> job) {
    const std::uint64_t number = ++jobs_so_far_;
    jobs_[number] = std::move(job);
    network_.agenda().after(network_.random().between(Duration(1), kLongestJob),
                            [this, number] { run_job(number); });
}

/// If it has not run, nor gone with the power.
void NetworkHost::run_job(std::uint64_t number) {
    const auto found = jobs_.find(number);
    if (found == jobs_.end()) return;
    os::SimulatedSystem* const before = std::exchange(os::simulated_system, this);
    network_.trace().add(number_, 'j', number);
    UniqueFunction<void()> job = std::move(found->second);
    jobs_.erase(found);
    job();
    job = nullptr;  // here: it may close files
    os::simulated_system = before;
}

void NetworkHost::run_jobs() {
    while (!jobs_.empty()) run_job(jobs_.begin()->first);
}

// --- names ---------------------------------------------------------------------------------------

bool NetworkHost::is_own(const SocketAddress& to) const {
    if (to.is_unix() || is_any(to) || is_loopback(to)) return true;
    return address(to.family()).host() == to.host();
}

bool NetworkHost::port_is_taken(const SimulatedSocket& socket, const SocketAddress& wanted) const {
    return std::ranges::any_of(sockets_, [&](const auto& other) {
        if (!other || other.get() == &socket || other->type != socket.type) return false;
        if (other->type == SOCK_STREAM && other->stage != Stage::listening &&
            other->stage != Stage::fresh)
            return false;
        return other->is_bound() && (serves(other->local, wanted) || serves(wanted, other->local));
    });
}

int NetworkHost::give_name(SimulatedSocket& socket, const SocketAddress& wanted) {
    SocketAddress name = wanted;
    if (!name.is_unix() && name.port() == 0) {
        do {
            name.set_port(next_port_);
            next_port_ = next_port_ == 65'535 ? 40'000 : static_cast<std::uint16_t>(next_port_ + 1);
        } while (port_is_taken(socket, name));
    } else if (port_is_taken(socket, name) &&
               !socket.options.contains({SOL_SOCKET, SO_REUSEPORT})) {
        return -EADDRINUSE;
    }
    socket.local = name;
    return 0;
}

int NetworkHost::bind(int fd, const SocketAddress& wanted) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->is_bound() || wanted.family() != socket->family) return -EINVAL;
    const bool is_group = is_multicast(wanted) || is_broadcast(wanted);
    if (!is_own(wanted) && !(is_group && socket->type == SOCK_DGRAM)) return -EADDRNOTAVAIL;
    return give_name(*socket, wanted);
}

/// A name for who sends to `remote` without having one.
int NetworkHost::name_for(SimulatedSocket& socket, const SocketAddress& remote) {
    if (socket.is_bound() && !is_any(socket.local)) return 0;
    SocketAddress own = remote;
    if (!remote.is_unix()) {
        own = is_loopback(remote) || is_any(remote) ? remote : address(remote.family());
        own.set_port(socket.is_bound() ? socket.local.port() : 0);
    } else {
        own = SocketAddress();  // connected unix sockets have none
    }
    if (own.family() == 0) return 0;
    if (own.port() == 0) return give_name(socket, own);
    socket.local = own;
    return 0;
}

int NetworkHost::local_address(int fd, SocketAddress& name) noexcept {
    const SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    name = socket->local;
    return 0;
}

int NetworkHost::peer_address(int fd, SocketAddress& name) noexcept {
    const SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    const bool has_peer =
        socket->type == SOCK_DGRAM ? socket->peer.family() != 0 : socket->stage == Stage::connected;
    if (!has_peer || socket->broken) return -ENOTCONN;
    name = socket->peer;
    return 0;
}

std::vector<SocketAddress> NetworkHost::look_up(const std::string& name, std::uint16_t port) {
    std::vector<SocketAddress> found;
    if (name == "localhost") {
        found = {*SocketAddress::parse("127.0.0.1", 0), *SocketAddress::parse("::1", 0)};
    } else if (const NetworkHost* const host = network_.host_named(name)) {
        found = {host->address(AF_INET)};
    }
    for (SocketAddress& address : found) address.set_port(port);
    return found;
}

int NetworkHost::set_option(int fd, int level, int name, int value) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (level == SOL_SOCKET && name == SO_LINGER) socket->lingers_not = value != 0;
    socket->options[{level, name}] = value;
    return 0;
}

int NetworkHost::get_option(int fd, int level, int name, int& value) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (level == SOL_SOCKET && name == SO_TYPE) {
        value = socket->type;
    } else if (level == SOL_SOCKET && name == SO_DOMAIN) {
        value = socket->family;
    } else if (level == SOL_SOCKET && name == SO_ERROR) {
        value = socket->take_error();
    } else {
        const auto found = socket->options.find({level, name});
        value = found == socket->options.end() ? 0 : found->second;
    }
    return 0;
}

// --- connections ---------------------------------------------------------------------------------

SimulatedSocket* NetworkHost::listener_of(const SocketAddress& to) const {
    for (const auto& socket : sockets_)
        if (socket && socket->stage == Stage::listening && serves(socket->local, to))
            return socket.get();
    return nullptr;
}

int NetworkHost::listen(int fd, int backlog) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->type != SOCK_STREAM) return -EOPNOTSUPP;
    if (socket->stage != Stage::fresh && socket->stage != Stage::listening) return -EINVAL;
    if (!socket->is_bound()) return -EDESTADDRREQ;
    socket->stage = Stage::listening;
    socket->backlog_limit = static_cast<std::size_t>(std::max(backlog, 0));
    return 0;
}

int NetworkHost::connect(int fd, const SocketAddress& remote) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (remote.family() != socket->family) return -EAFNOSUPPORT;
    if (socket->type == SOCK_STREAM) return connect_stream(*socket, remote);
    const int result = name_for(*socket, remote);
    if (result == 0) socket->peer = remote;
    return result;
}

int NetworkHost::connect_stream(SimulatedSocket& socket, const SocketAddress& remote) {
    if (socket.stage == Stage::connecting) return -EALREADY;
    if (socket.stage == Stage::connected) return -EISCONN;
    if (socket.stage != Stage::fresh) return -EINVAL;
    if (remote.is_unix()) {  // answered at once, as the system does
        const SimulatedSocket* const listener = listener_of(remote);
        if (listener == nullptr) return -ECONNREFUSED;
        if (listener->backlog.size() > listener->backlog_limit) return -EAGAIN;
    }
    SocketAddress to = remote;
    if (is_any(to))
        to = *SocketAddress::parse(to.family() == AF_INET6 ? "::1" : "127.0.0.1", to.port());
    const int result = name_for(socket, to);
    if (result != 0) return result;
    socket.stage = Stage::connecting;
    socket.peer = to;
    network_.begin_connect(socket, network_.host_at(to, *this));
    return -EINPROGRESS;
}

int NetworkHost::connect_result(int fd) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->stage == Stage::connecting) return -EINPROGRESS;
    if (socket->error != 0) return -socket->take_error();
    return socket->stage == Stage::connected ? 0 : -ENOTCONN;
}

int NetworkHost::accept(int fd) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->stage != Stage::listening) return -EINVAL;
    if (socket->backlog.empty()) return -EAGAIN;
    if (network_.random().chance(network_.faults.accept_error)) {
        if (network_.random().chance(0.5)) return -EMFILE;  // it stays in the backlog
        network_.send_reset(socket->backlog.front()->stream, 1);
        socket->backlog.pop_front();
        return -ECONNABORTED;
    }
    std::unique_ptr<SimulatedSocket> accepted = std::move(socket->backlog.front());
    socket->backlog.pop_front();
    return enter(std::move(accepted));
}

int NetworkHost::shutdown(int fd, os::Shutdown how) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (!socket->stream || socket->broken || socket->stage != Stage::connected) return -ENOTCONN;
    if (how != os::Shutdown::write) socket->read_shut = true;
    if (how != os::Shutdown::read) network_.send_end(socket->stream, socket->side);
    note_change();
    return 0;
}

// --- data ----------------------------------------------------------------------------------------

std::ptrdiff_t NetworkHost::send(int fd, const iovec* buffers, std::size_t count) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->type < 0) return static_cast<std::ptrdiff_t>(total_of(buffers, count));
    if (socket->type == SOCK_DGRAM) {
        const std::string data = first_of(buffers, count, total_of(buffers, count));
        return send_to(fd, std::as_bytes(std::span(data)), nullptr);
    }
    const bool is_pipe = socket->stream && socket->stream->is_pipe;
    if (is_pipe && socket->side == 1) return -EBADF;
    if (is_pipe && socket->stream->end[1] == nullptr) return -EPIPE;
    if (socket->error != 0) return -socket->take_error();
    if (socket->stage == Stage::connecting) return -EAGAIN;
    if (socket->broken || (socket->stream && socket->out().end_sent)) return -EPIPE;
    if (socket->stage != Stage::connected) return -ENOTCONN;
    const std::size_t wanted = total_of(buffers, count);
    std::size_t size = std::min(wanted, socket->room(is_pipe ? kPipe : network_.faults.window));
    if (size == 0) return wanted == 0 ? 0 : -EAGAIN;
    if (!is_pipe && network_.random().chance(network_.faults.short_send))
        size = 1 + network_.random().index(size);
    network_.send_data(socket->stream, socket->side, first_of(buffers, count, size));
    return static_cast<std::ptrdiff_t>(size);
}

std::ptrdiff_t NetworkHost::receive(int fd, std::span<std::byte> buffer) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->type < 0) return 0;
    if (socket->type == SOCK_DGRAM) {
        SocketAddress from;
        return receive_from(fd, buffer, from);
    }
    if (!socket->stream || socket->stage == Stage::connecting) {
        if (socket->error != 0) return -socket->take_error();
        return socket->stage == Stage::connecting ? -EAGAIN : -ENOTCONN;
    }
    SimulatedStream::Way& way = socket->in();
    std::size_t size = std::min(way.unread(), buffer.size());
    if (size > 0) {
        if (network_.random().chance(network_.faults.short_receive))
            size = 1 + network_.random().index(size);
        std::memcpy(buffer.data(), way.arrived.data() + way.taken, size);
        way.taken += size;
        if (SimulatedSocket* const sender = socket->stream->end[1 - socket->side])
            sender->host.note_change();  // it has room now
        return static_cast<std::ptrdiff_t>(size);
    }
    if (socket->error != 0) return -socket->take_error();
    return way.ended || socket->broken || socket->read_shut ? 0 : -EAGAIN;
}

SimulatedSocket* NetworkHost::datagram_socket_of(const SocketAddress& to) const {
    for (const auto& socket : sockets_)
        if (socket && socket->type == SOCK_DGRAM && socket->is_bound() && serves(socket->local, to))
            return socket.get();
    return nullptr;
}

std::vector<SimulatedSocket*> NetworkHost::sockets_of_group(const SocketAddress& to) const {
    std::vector<SimulatedSocket*> sockets;
    for (const auto& socket : sockets_) {
        if (!socket || socket->type != SOCK_DGRAM || !serves(socket->local, to)) continue;
        if (is_broadcast(to) || socket->groups.contains(to.host())) sockets.push_back(socket.get());
    }
    return sockets;
}

int NetworkHost::join_group(int fd, const SocketAddress& group) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->type != SOCK_DGRAM || !is_multicast(group)) return -EINVAL;
    return socket->groups.insert(group.host()).second ? 0 : -EADDRINUSE;
}

int NetworkHost::leave_group(int fd, const SocketAddress& group) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    return socket->groups.erase(group.host()) > 0 ? 0 : -EADDRNOTAVAIL;
}

void NetworkHost::send_to_all(const SimulatedSocket& socket, const SocketAddress& source,
                              const SocketAddress& to, const std::string& data) {
    const bool is_v6 = to.family() == AF_INET6;
    const auto option = [&](int v6, int v4, int otherwise) {
        const auto found = socket.options.find(is_v6 ? std::pair<int, int>(IPPROTO_IPV6, v6)
                                                     : std::pair<int, int>(IPPROTO_IP, v4));
        return found == socket.options.end() ? otherwise : found->second;
    };
    const bool is_group = is_multicast(to);
    const bool far = !is_group || option(IPV6_MULTICAST_HOPS, IP_MULTICAST_TTL, 1) > 0;
    const bool loop = !is_group || option(IPV6_MULTICAST_LOOP, IP_MULTICAST_LOOP, 1) != 0;
    network_.send_to_all(*this, source, to, data, far, loop);
}

std::ptrdiff_t NetworkHost::send_to(int fd, std::span<const std::byte> data,
                                    const SocketAddress* to) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->type != SOCK_DGRAM) return -EISCONN;
    if (socket->error != 0) return -socket->take_error();
    const SocketAddress target = to != nullptr ? *to : socket->peer;
    if (target.family() == 0) return -EDESTADDRREQ;
    if (target.family() != socket->family) return -EAFNOSUPPORT;
    if (data.size() > kLargestDatagram) return -EMSGSIZE;
    if (is_broadcast(target) && !socket->options.contains({SOL_SOCKET, SO_BROADCAST}))
        return -EACCES;
    SocketAddress source = socket->local;
    if (!socket->is_bound()) {
        const int result =
            give_name(*socket, target.family() == AF_INET6 ? *SocketAddress::parse("::", 0)
                                                           : *SocketAddress::parse("0.0.0.0", 0));
        if (result != 0) return result;
        source = socket->local;
    }
    if (is_any(source)) {
        source = is_loopback(target) ? target : address(target.family());
        source.set_port(socket->local.port());
    }
    const std::string text(reinterpret_cast<const char*>(data.data()), data.size());
    if (is_broadcast(target) || is_multicast(target))
        send_to_all(*socket, source, target, text);
    else
        network_.send_datagram(*this, source, target, text, socket->peer.family() != 0 ? fd : -1);
    return static_cast<std::ptrdiff_t>(data.size());
}

std::ptrdiff_t NetworkHost::receive_from(int fd, std::span<std::byte> buffer,
                                         SocketAddress& from) noexcept {
    SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return -EBADF;
    if (socket->error != 0) return -socket->take_error();
    if (socket->datagrams.empty()) return -EAGAIN;
    const SimulatedSocket::Datagram first = std::move(socket->datagrams.front());
    socket->datagrams.pop_front();
    socket->datagram_bytes -= first.data.size();
    const std::size_t size = std::min(first.data.size(), buffer.size());
    std::memcpy(buffer.data(), first.data.data(), size);
    from = first.from;
    return static_cast<std::ptrdiff_t>(size);
}

unsigned NetworkHost::readiness(int fd) const noexcept {
    const SimulatedSocket* const socket = find(fd);
    if (socket == nullptr) return POLLNVAL;
    unsigned ready = socket->error != 0 ? POLLERR | POLLIN | POLLOUT : 0U;
    if (socket->type == SimulatedSocket::kNowhere) return POLLOUT;
    if (socket->type == SimulatedSocket::kProgram) return socket->exit->ended ? POLLIN : 0U;
    if (socket->type == SimulatedSocket::kInotify) return socket->inotify->readable() ? POLLIN : 0U;
    if (socket->stream && socket->stream->is_pipe && socket->side == 0) {
        if (socket->stream->end[1] == nullptr) return POLLERR | POLLOUT;
        return socket->room(kPipe) > 0 ? POLLOUT : 0U;
    }
    if (socket->type == SOCK_DGRAM)
        return ready | POLLOUT | (socket->datagrams.empty() ? 0U : POLLIN);
    if (socket->stage == Stage::listening) return socket->backlog.empty() ? 0 : POLLIN;
    if (socket->broken || socket->stage == Stage::failed) return ready | POLLIN | POLLOUT | POLLHUP;
    if (socket->stage == Stage::fresh) return POLLOUT | POLLHUP;
    if (socket->stage == Stage::connecting) return ready;
    const bool ended = socket->in().ended || socket->read_shut;
    if (socket->in().unread() > 0 || ended) ready |= POLLIN;
    if (ended) ready |= POLLRDHUP;
    if (socket->out().end_sent || socket->room(network_.faults.window) > 0) ready |= POLLOUT;
    if (ended && socket->out().end_sent) ready |= POLLHUP;
    return ready;
}

}  // namespace asyncio::testing
