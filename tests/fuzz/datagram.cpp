// SPDX-License-Identifier: MIT
//
// Datagrams as io_uring leaves them in a buffer, of any bytes and as the system writes them (empty,
// cut, without a sender, with less in the buffer than the header says): nothing is read behind the
// buffer. And as recvmmsg gives them, through real sockets: each whole or told to be cut, with its
// sender, in order.
//
// covers: kernel/datagram.hpp kernel/datagram.cpp kernel/io_uring_datagram.hpp
//     kernel/io_uring_datagram.cpp
#include <asyncio/kernel/io_uring_datagram.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/socket_address.hpp>

#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

using kernel::Datagram;
using kernel::DatagramBatch;
using std::size_t;

constexpr size_t kAddressRoom = sizeof(sockaddr_storage);

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Header {
    std::uint32_t address_size, control_size, payload_size, flags;
};

/// What is in memory of exactly that size.
template <class Check>
void read_exactly(std::string_view written, Check check) {
    const auto memory = std::make_unique<std::byte[]>(written.size());
    std::memcpy(memory.get(), written.data(), written.size());
    const auto datagram = kernel::read_io_uring_datagram({memory.get(), written.size()});
    FUZZ_CHECK(datagram.has_value() == (written.size() >= sizeof(Header) + kAddressRoom));
    if (!datagram) return;
    FUZZ_CHECK(datagram->more && datagram->result == static_cast<int>(datagram->data.size()));
    const std::string_view data = text_of(datagram->data);
    FUZZ_CHECK(data == written.substr(sizeof(Header) + kAddressRoom));
    const auto from = SocketAddress::from_raw(datagram->address, datagram->address_size);
    FUZZ_CHECK(from.size() <= kAddressRoom && from.to_string().size() < 200);
    check(*datagram, from);
}

void any_bytes(Input& input) {
    std::string written(input.rest());
    // A header is rarely behind so many bytes: what is long enough has one that is.
    if (written.size() >= 8) written.resize(written.size() + 140);
    read_exactly(written, [](const Datagram&, const SocketAddress&) {});
}

void as_written(Input& input) {
    const size_t payload = input.number(2) % 2000;
    const size_t room = input.chance() ? payload : input.number(2) % 2000;
    SocketAddress sender;
    if (input.chance())
        sender = *SocketAddress::parse("10.1.2.3", static_cast<std::uint16_t>(input.number(2)));
    const size_t told = input.chance() ? sender.size() : input.number(1);
    const bool cut = payload > room;
    const Header header = {static_cast<std::uint32_t>(told), 0, static_cast<std::uint32_t>(payload),
                           cut ? std::uint32_t{MSG_TRUNC} : 0u};
    std::string written(reinterpret_cast<const char*>(&header), sizeof header);
    std::string name(reinterpret_cast<const char*>(sender.raw()), sender.size());
    name.resize(kAddressRoom);
    written += name + std::string(std::min(room, payload), 'p');
    read_exactly(written, [&](const Datagram& datagram, const SocketAddress& from) {
        FUZZ_CHECK(datagram.truncated == cut);
        FUZZ_CHECK(datagram.data.size() == std::min(room, payload));
        FUZZ_CHECK(datagram.address_size == std::min(told, kAddressRoom));
        if (told == sender.size()) FUZZ_CHECK(from == sender);
    });
}

/// Sockets that send to one; some have a name.
class Senders {
  public:
    explicit Senders(int to_be_sent_to) {
        // Abstract names, which nothing remains of.
        const std::string unique =
            std::string(1, '\0') + "asyncio-fuzz-" + std::to_string(getpid());
        target_ = SocketAddress::unix_path(unique);
        FUZZ_CHECK(::bind(to_be_sent_to, target_.raw(), target_.size()) == 0);
        for (int i = 0; i < 3; ++i) {
            sockets_[i].reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            if (i == 0) continue;
            const int large = 1 << 18;
            ::setsockopt(sockets_[i].get(), SOL_SOCKET, SO_SNDBUF, &large, sizeof large);
            names_[i] = SocketAddress::unix_path(unique + std::to_string(i));
            FUZZ_CHECK(::bind(sockets_[i].get(), names_[i].raw(), names_[i].size()) == 0);
        }
    }
    bool send(size_t who, const std::string& text) const {
        return ::sendto(sockets_[who].get(), text.data(), text.size(), 0, target_.raw(),
                        target_.size()) >= 0;
    }
    const SocketAddress& name(size_t who) const { return names_[who]; }

  private:
    SocketAddress target_;
    os::Fd sockets_[3];
    SocketAddress names_[3];
};

struct Sent {
    size_t who;
    std::string text;
};

void receive_some(DatagramBatch& batch, int fd, const Senders& senders, std::deque<Sent>& sent) {
    const int count = batch.receive(fd);
    const size_t expected = std::min<size_t>(sent.size(), DatagramBatch::most);
    FUZZ_CHECK(count == (expected == 0 ? -EAGAIN : static_cast<int>(expected)));
    for (int i = 0; i < count; ++i, sent.pop_front()) {
        const Datagram datagram = batch[i];
        const Sent& model = sent.front();
        FUZZ_CHECK(datagram.more && datagram.result == static_cast<int>(datagram.data.size()));
        FUZZ_CHECK(datagram.truncated == (model.text.size() > DatagramBatch::largest));
        FUZZ_CHECK(text_of(datagram.data) ==
                   std::string_view(model.text).substr(0, DatagramBatch::largest));
        const auto from = SocketAddress::from_raw(datagram.address, datagram.address_size);
        FUZZ_CHECK(from == senders.name(model.who));
    }
}

void in_batches(Input& input) {
    static DatagramBatch batch;  // 2 MB
    const os::Fd here(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const Senders senders(here.get());
    std::deque<Sent> sent;
    while (!input.empty()) {
        const size_t kind = input.below(8);
        if (kind == 0) {
            receive_some(batch, here.get(), senders, sent);
            continue;
        }
        size_t size = input.number(1) * (kind == 1 ? 10 : 1);
        if (kind == 2) size = DatagramBatch::largest - 2 + size % 5;
        Sent next{input.below(3), std::string(size, static_cast<char>('a' + sent.size() % 26))};
        if (senders.send(next.who, next.text)) sent.push_back(std::move(next));
    }
    while (!sent.empty()) receive_some(batch, here.get(), senders, sent);
    receive_some(batch, here.get(), senders, sent);
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(datagram) {
    using namespace asyncio::fuzz;
    one_of(input, &any_bytes, &as_written, &in_batches);
}
