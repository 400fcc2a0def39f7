// SPDX-License-Identifier: MIT
#include <asyncio/testing/network.hpp>
#include <asyncio/testing/simulated_socket.hpp>

#include <algorithm>
#include <cerrno>
#include <memory>

#include <sys/socket.h>

namespace asyncio::testing {

namespace {

constexpr std::size_t kSegment = 16 * 1024;
constexpr Duration kOwnLatency = std::chrono::microseconds(5);

std::pair<unsigned, unsigned> pair_of(const NetworkHost& a, const NetworkHost& b) noexcept {
    return {std::min(a.number(), b.number()), std::max(a.number(), b.number())};
}

Duration retry_after(int retries) noexcept {
    return std::min(Network::kFirstRetry * (1 << std::min(retries, 10)), Network::kLastRetry);
}

}  // namespace

/// An attempt to connect, until it came to something.
struct Network::Greeting {
    std::shared_ptr<SimulatedStream> stream;
    SocketAddress from;
    SocketAddress to;
    TimePoint began;
    int retries = 0;
};

Network::Network(Agenda& agenda, Random random, Trace& trace)
    : agenda_(agenda), random_(random), trace_(trace) {}

Network::~Network() = default;

// --- hosts and ways ------------------------------------------------------------------------------

NetworkHost& Network::add_host(std::string name) {
    const auto number = static_cast<unsigned>(hosts_.size() + 1);
    hosts_.push_back(std::make_unique<NetworkHost>(*this, number, std::move(name)));
    return *hosts_.back();
}

NetworkHost* Network::host_named(std::string_view name) noexcept {
    for (const auto& host : hosts_)
        if (host->name() == name) return host.get();
    return nullptr;
}

NetworkHost* Network::host_at(const SocketAddress& address, NetworkHost& from) noexcept {
    if (address.is_unix() || from.is_own(address)) return &from;
    for (const auto& host : hosts_)
        if (host->is_own(address) && host->address(address.family()).host() == address.host())
            return host.get();
    return nullptr;
}

void Network::set_partition(NetworkHost& a, NetworkHost& b, bool cut) {
    const auto pair = pair_of(a, b);
    std::erase(partitions_, pair);
    if (cut) partitions_.push_back(pair);
}

void Network::heal() noexcept { partitions_.clear(); }

bool Network::reaches(const NetworkHost& from, const NetworkHost& to) const noexcept {
    if (&from == &to) return true;
    if (!to.powered()) return false;
    return std::ranges::find(partitions_, pair_of(from, to)) == partitions_.end();
}

Duration Network::latency(const NetworkHost& from, const NetworkHost& to) {
    if (&from == &to) return kOwnLatency;
    return random_.between(faults.least_latency, faults.most_latency);
}

// --- connecting ----------------------------------------------------------------------------------

void Network::begin_connect(SimulatedSocket& socket, NetworkHost* target) {
    auto stream = std::make_shared<SimulatedStream>();
    stream->number = ++streams_;
    stream->host[0] = &socket.host;
    stream->host[1] = target;
    stream->life[0] = socket.host.life();
    stream->life[1] = target != nullptr ? target->life() : 0;
    stream->end[0] = &socket;
    socket.stream = stream;
    socket.side = 0;
    auto greeting = std::make_shared<Greeting>(
        Greeting{std::move(stream), socket.local, socket.peer, agenda_.now()});
    if (target == nullptr) {  // no such host: the router says so
        agenda_.after(faults.most_latency,
                      [this, greeting] { break_end(*greeting->stream, 0, EHOSTUNREACH); });
        return;
    }
    greet(greeting);
}

/// Send the first packet.
void Network::greet(const std::shared_ptr<Greeting>& greeting) {
    const SimulatedStream& stream = *greeting->stream;
    if (stream.end[0] == nullptr) return;
    if (random_.chance(faults.loss)) return greet_later(greeting);
    agenda_.after(latency(*stream.host[0], *stream.host[1]),
                  [this, greeting] { greeted(greeting); });
}

void Network::greet_later(const std::shared_ptr<Greeting>& greeting) {
    if (agenda_.now() - greeting->began >= kConnectPatience)
        return break_end(*greeting->stream, 0, ETIMEDOUT);
    agenda_.after(std::chrono::seconds(1) * (1 << std::min(greeting->retries++, 4)),
                  [this, greeting] { greet(greeting); });
}

/// The first packet is there.
void Network::greeted(const std::shared_ptr<Greeting>& greeting) {
    SimulatedStream& stream = *greeting->stream;
    NetworkHost& from = *stream.host[0];
    NetworkHost& to = *stream.host[1];
    if (stream.end[0] == nullptr) return;
    if (!reaches(from, to) || !reaches(to, from)) return greet_later(greeting);
    stream.life[1] = to.life();
    if (to.listener_of(greeting->to) == nullptr) {
        trace_.add(stream.number, 'r');
        agenda_.after(latency(to, from),
                      [this, greeting] { break_end(*greeting->stream, 0, ECONNREFUSED); });
        return;
    }
    if (!answer(greeting)) greet_later(greeting);
}

/// False: the backlog is full, and the packet was not seen.
bool Network::answer(const std::shared_ptr<Greeting>& greeting) {
    SimulatedStream& stream = *greeting->stream;
    NetworkHost& host = *stream.host[1];
    SimulatedSocket& listener = *host.listener_of(greeting->to);
    if (listener.backlog.size() > listener.backlog_limit) return false;
    auto socket = std::make_unique<SimulatedSocket>(host, listener.family, listener.type);
    socket->stage = SimulatedSocket::Stage::connected;
    socket->local = greeting->to;
    socket->peer = greeting->from;
    socket->stream = greeting->stream;
    socket->side = 1;
    stream.end[1] = socket.get();
    listener.backlog.push_back(std::move(socket));
    host.note_change();
    fly(greeting->stream, 1, SimulatedStream::opening, {});
    return true;
}

// --- streams -------------------------------------------------------------------------------------

void Network::send_data(const std::shared_ptr<SimulatedStream>& stream, int side,
                        std::string data) {
    for (std::size_t begin = 0; begin < data.size(); begin += kSegment)
        fly(stream, side, SimulatedStream::bytes, data.substr(begin, kSegment));
}

void Network::send_end(const std::shared_ptr<SimulatedStream>& stream, int side) {
    if (std::exchange(stream->way[side].end_sent, true)) return;
    fly(stream, side, SimulatedStream::ending, {});
}

/// What was sent and is still under way is lost with it.
void Network::send_reset(const std::shared_ptr<SimulatedStream>& stream, int side) {
    SimulatedStream::Way& way = stream->way[side];
    while (way.flying.size() > 1) way.flying.pop_back();  // the first one's landing is scheduled
    if (!way.flying.empty()) {
        way.flying.front().kind = SimulatedStream::resetting;
        way.flying.front().data.clear();
    }
    way.flying_bytes = 0;
    way.end_sent = true;
    if (way.flying.empty()) fly(stream, side, SimulatedStream::resetting, {});
}

void Network::fly(const std::shared_ptr<SimulatedStream>& stream, int side, int kind,
                  std::string data) {
    SimulatedStream::Way& way = stream->way[side];
    Duration delay = latency(*stream->host[side], *stream->host[1 - side]);
    for (int i = 0; i < 5 && !stream->is_pipe && random_.chance(faults.loss); ++i)
        delay += retry_after(i);
    const TimePoint arrival = std::max(agenda_.now() + delay, way.last_arrival);
    way.last_arrival = arrival;
    way.flying_bytes += data.size();
    way.flying.push_back({kind, std::move(data), agenda_.now(), arrival});
    if (way.flying.size() == 1) schedule(stream, side, arrival);
}

void Network::schedule(const std::shared_ptr<SimulatedStream>& stream, int side, TimePoint when) {
    agenda_.at(when, [this, stream, side] { land(stream, side); });
}

/// The first packet under way arrives, if nothing is in its way.
void Network::land(const std::shared_ptr<SimulatedStream>& stream, int side) {
    SimulatedStream::Way& way = stream->way[side];
    const NetworkHost& from = *stream->host[side];
    const NetworkHost& to = *stream->host[1 - side];
    if (way.flying.empty() || from.life() != stream->life[side]) {
        way.flying.clear();  // the sender broke meanwhile
        way.flying_bytes = 0;
        return;
    }
    if (!reaches(from, to)) return land_later(stream, side);
    way.retries = 0;
    SimulatedStream::Packet packet = std::move(way.flying.front());
    way.flying.pop_front();
    way.flying_bytes -= packet.data.size();
    if (!way.flying.empty())
        schedule(stream, side, std::max(way.flying.front().arrival, agenda_.now()));
    const bool reset = !stream->is_pipe && random_.chance(faults.reset);
    const int kind = reset ? SimulatedStream::resetting : packet.kind;
    trace_.add(stream->number, kind, packet.data.size(), side);
    if (kind == SimulatedStream::resetting && packet.kind != kind)
        break_end(*stream, side, ECONNRESET);
    deliver(stream, side, kind, std::move(packet.data));
}

void Network::land_later(const std::shared_ptr<SimulatedStream>& stream, int side) {
    SimulatedStream::Way& way = stream->way[side];
    if (agenda_.now() - way.flying.front().sent >= kStreamPatience)
        return break_end(*stream, side, ETIMEDOUT);
    schedule(stream, side, agenda_.now() + retry_after(way.retries++));
}

void Network::deliver(const std::shared_ptr<SimulatedStream>& stream, int side, int kind,
                      std::string data) {
    const NetworkHost& to = *stream->host[1 - side];
    SimulatedSocket* const socket = stream->end[1 - side];
    if (to.life() != stream->life[1 - side] || socket == nullptr) {  // nobody knows this stream
        if (kind == SimulatedStream::resetting || stream->is_pipe) return;
        const bool is_news = kind == SimulatedStream::bytes ||
                             to.life() != stream->life[1 - side] ||
                             kind == SimulatedStream::opening;
        if (!is_news) return;
        agenda_.after(latency(to, *stream->host[side]),
                      [this, stream, side] { break_end(*stream, side, ECONNRESET); });
        return;
    }
    SimulatedStream::Way& way = stream->way[side];
    switch (kind) {
        case SimulatedStream::opening:
            socket->stage = SimulatedSocket::Stage::connected;
            break;
        case SimulatedStream::bytes:
            if (socket->read_shut) break;
            way.arrived.erase(0, std::exchange(way.taken, 0));
            way.arrived += data;
            break;
        case SimulatedStream::ending:
            way.ended = true;
            break;
        default:
            return break_end(*stream, 1 - side, ECONNRESET);
    }
    stream->host[1 - side]->note_change();
    if (stream->end[side] != nullptr) stream->host[side]->note_change();  // it may have room
}

/// The stream ends for that side, with an error.
void Network::break_end(SimulatedStream& stream, int side, int error) {
    stream.way[side].flying.clear();
    stream.way[side].flying_bytes = 0;
    SimulatedSocket* const socket = stream.end[side];
    if (socket == nullptr || socket->broken) return;
    trace_.add(stream.number, 'b', error, side);
    const bool opening = socket->stage == SimulatedSocket::Stage::connecting;
    if (opening) socket->stage = SimulatedSocket::Stage::failed;
    socket->broken = true;
    socket->error = error;
    socket->host.note_change();
}

// --- datagrams -----------------------------------------------------------------------------------

void Network::send_datagram(NetworkHost& from, const SocketAddress& source, const SocketAddress& to,
                            std::string data, int connected_fd) {
    NetworkHost* const target = host_at(to, from);
    if (target == nullptr) return;
    const auto deliver = [this, &from, life = from.life(), target, source, to, data, connected_fd] {
        deliver_datagram(from, life, target, source, to, data, connected_fd);
    };
    for (int copies = copies_of_datagram(from, *target); copies > 0; --copies)
        agenda_.after(latency(from, *target), deliver);
}

/// How many of them arrive.
int Network::copies_of_datagram(const NetworkHost& from, const NetworkHost& to) {
    if (&from == &to) return 1;
    const int copies = random_.chance(faults.duplication) ? 2 : 1;
    int arriving = 0;
    for (int i = 0; i < copies; ++i) arriving += random_.chance(faults.loss) ? 0 : 1;
    return arriving;
}

void Network::send_to_all(NetworkHost& from, const SocketAddress& source, const SocketAddress& to,
                          const std::string& data, bool far, bool loop) {
    for (const auto& host : hosts_) {
        NetworkHost& target = *host;
        if (&target == &from ? !loop : !far) continue;
        for (int copies = copies_of_datagram(from, target); copies > 0; --copies)
            agenda_.after(latency(from, target), [this, &from, &target, source, to, data] {
                deliver_to_all(from, target, source, to, data);
            });
    }
}

void Network::deliver_to_all(const NetworkHost& from, NetworkHost& target,
                             const SocketAddress& source, const SocketAddress& to,
                             const std::string& data) {
    if (!reaches(from, target)) return;
    const std::vector<SimulatedSocket*> sockets = target.sockets_of_group(to);
    trace_.add(from.number(), target.number(), data.size(), sockets.size());
    for (SimulatedSocket* const socket : sockets) put_datagram(*socket, source, data);
}

void Network::put_datagram(SimulatedSocket& socket, const SocketAddress& source,
                           const std::string& data) {
    const bool is_from_peer = socket.peer.family() == 0 || socket.peer == source;
    if (!is_from_peer || socket.datagram_bytes + data.size() > NetworkHost::kDatagramBuffer) return;
    socket.datagram_bytes += data.size();
    socket.datagrams.push_back({data, source});
    socket.host.note_change();
}

void Network::deliver_datagram(NetworkHost& from, unsigned life, NetworkHost* target,
                               const SocketAddress& source, const SocketAddress& to,
                               const std::string& data, int connected_fd) {
    if (!reaches(from, *target)) return;
    SimulatedSocket* const socket = target->datagram_socket_of(to);
    trace_.add(from.number(), target->number(), data.size(), socket != nullptr);
    if (socket == nullptr) {
        SimulatedSocket* const sender = from.life() == life ? from.find(connected_fd) : nullptr;
        if (sender == nullptr || sender->peer != to || !reaches(*target, from)) return;
        sender->error = ECONNREFUSED;
        from.note_change();
        return;
    }
    put_datagram(*socket, source, data);
}

}  // namespace asyncio::testing
