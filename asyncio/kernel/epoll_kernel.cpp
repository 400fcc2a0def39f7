// SPDX-License-Identifier: MIT
#include <asyncio/kernel/epoll_kernel.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/fork.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/socket.hpp>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>
#include <ctime>
#include <new>
#include <span>
#include <stdexcept>

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace asyncio::kernel {
namespace {

constexpr int events_per_wait = 256;
constexpr std::uint32_t watched_input = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t watched_events = watched_input | EPOLLOUT;

static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR &&
              EPOLLHUP == POLLHUP);

std::uint64_t tag_of(int fd, std::uint32_t generation) noexcept {
    return static_cast<std::uint64_t>(generation) << 32 | static_cast<std::uint32_t>(fd);
}

int open_epoll() {
    const int fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) os::throw_system_error(errno, "create an epoll set");
    return fd;
}

/// Whole milliseconds, rounded up: never early (catalogue C8).
int round_up_to_milliseconds(Duration timeout) noexcept {
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
    return static_cast<int>(std::clamp<std::int64_t>(rounded, 0, INT_MAX));
}

}  // namespace

EpollKernel::EpollKernel()
    : fork_generation_(os::fork_generation()),
      epoll_(open_epoll()),
      wake_(WakeChannel::Mode::non_blocking),
      scratch_(new std::byte[scratch_size]) {
    // Edge-triggered, every write is an event of its own: the counter needs no reading.
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = wake_tag;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.fd(), &event) != 0)
        os::throw_system_error(errno, "watch the wake-up eventfd");
}

EpollKernel::~EpollKernel() {
    for (Entry& entry : entries_) {
        for (Operation* operation : {entry.input, entry.output})
            if (operation != nullptr) reclaim(*operation);
    }
    for (List* list : {&finished_inputs_, &finished_outputs_})
        list->for_each([this](Operation& operation) { reclaim(operation); });
    assert(in_flight_ == 0);
}

bool EpollKernel::forked() const noexcept {
    return fork_generation_ != os::current_fork_generation;
}

void EpollKernel::attach_to_thread() {
    if (forked()) throw std::logic_error("asyncio: this loop belongs to the parent process");
}

EpollKernel::Entry* EpollKernel::entry_of(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd);
    if (index >= entries_.size()) [[unlikely]] {
        try {
            entries_.resize(std::max<std::size_t>(index + 1, entries_.size() * 3 / 2));
        } catch (const std::bad_alloc&) {
            return nullptr;
        }
    }
    return &entries_[index];
}

/// Where the table keeps this kind of operation.
Operation*& EpollKernel::side(Operation& operation) noexcept {
    Entry& entry = entries_[static_cast<std::size_t>(operation.fd)];
    return operation.is_input() ? entry.input : entry.output;
}

int EpollKernel::control(int first, int fd, std::uint32_t generation,
                         std::uint32_t events) noexcept {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = tag_of(fd, generation);
    if (::epoll_ctl(epoll_.get(), first, fd, &event) == 0) return 0;
    const bool other = errno == (first == EPOLL_CTL_ADD ? EEXIST : ENOENT);
    if (!other) return -errno;
    const int second = first == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    return ::epoll_ctl(epoll_.get(), second, fd, &event) == 0 ? 0 : -errno;
}

/// Datagrams without EPOLLOUT: there would be an event for each that was sent, when the receiver
/// has taken it (a stream tells only of room that was missed).
int EpollKernel::watch(const Operation& operation, Entry& entry) noexcept {
    const bool input_only = operation.opcode == Opcode::receive_from && entry.output == nullptr;
    if (entry.registered && (input_only || !entry.input_only)) return 0;
    const int result = control(entry.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, operation.fd,
                               entry.generation, input_only ? watched_input : watched_events);
    if (result != 0) return result;
    entry.registered = true;
    entry.input_only = input_only;
    entry.is_unix = os::is_unix_socket(operation.fd);
    return 0;
}

bool EpollKernel::finish_inline(Operation& operation, int result) noexcept {
    operation.inline_result = result;
    return false;
}

bool EpollKernel::put_in_flight(Operation& operation) noexcept {
    Operation*& place = side(operation);
    if (place != nullptr) return finish_inline(operation, -EBUSY);
    place = &operation;
    operation.state = Operation::State::submitted;
    in_flight_++;
    return true;
}

std::ptrdiff_t EpollKernel::try_send(const Operation& operation) noexcept {
    return operation.is_socket ? os::try_send(operation.fd, operation.buffers, operation.count)
                               : os::try_write(operation.fd, operation.buffers, operation.count);
}

int EpollKernel::begin_connect(const Operation& operation) noexcept {
    return ::connect(operation.fd, operation.address, operation.count) == 0 ? 0 : -errno;
}

bool EpollKernel::submit(Operation& operation) noexcept {
    assert(operation.idle());
    if (forked()) [[unlikely]]
        return finish_inline(operation, -EOWNERDEAD);
    if (operation.opcode == Opcode::file || operation.opcode == Opcode::small_file)
        return finish_inline(operation, -ENOTSUP);
    if (operation.fd < 0) return finish_inline(operation, -EBADF);
    if (operation.opcode == Opcode::send) {
        const auto sent = try_send(operation);
        if (sent != again) return finish_inline(operation, static_cast<int>(sent));
    }
    if (operation.opcode == Opcode::connect) {
        const int result = begin_connect(operation);
        if (result != -EINPROGRESS && result != -EALREADY) return finish_inline(operation, result);
    }
    Entry* entry = entry_of(operation.fd);
    if (entry == nullptr) return finish_inline(operation, -ENOMEM);
    if (operation.opcode == Opcode::poll) return submit_poll(operation);
    const int result = watch(operation, *entry);
    const bool always_ready = result == -EPERM && !operation.is_socket;
    if (result != 0 && !always_ready)
        return finish_inline(operation, result == -EPERM ? -ENOTSOCK : result);
    if (always_ready) entry->readable = true;
    if (!put_in_flight(operation)) return false;
    if (operation.is_input() && entry->readable) ready_.push_back(operation);
    return true;
}

bool EpollKernel::submit_poll(Operation& operation) noexcept {
    const Entry& entry = *entry_of(operation.fd);
    const int result = control(EPOLL_CTL_MOD, operation.fd, entry.generation, watched_events);
    const int always = static_cast<int>(operation.events & (POLLIN | POLLOUT));
    if (result == -EPERM) return finish_inline(operation, always);
    if (result != 0) return finish_inline(operation, result);
    return put_in_flight(operation);
}

void EpollKernel::finish_later(Operation& operation, int result) noexcept {
    operation.inline_result = result;
    (operation.is_input() ? finished_inputs_ : finished_outputs_).push_back(operation);
}

/// Take the operation out of table and lists.
void EpollKernel::detach(Operation& operation) noexcept {
    operation.unlink();
    Operation*& place = side(operation);
    if (place == &operation) place = nullptr;
}

void EpollKernel::cancel(Operation& operation) noexcept {
    if (operation.state != Operation::State::submitted) return;
    operation.state = Operation::State::cancelling;
    detach(operation);
    finish_later(operation, -ECANCELED);
}

void EpollKernel::reclaim(Operation& operation) noexcept {
    if (operation.idle()) return;
    if (in_batch_ == &operation) in_batch_ = nullptr;
    detach(operation);
    operation.state = Operation::State::idle;
    in_flight_--;
}

void EpollKernel::close(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd);
    if (fd >= 0 && index < entries_.size()) {
        Entry& entry = entries_[index];
        assert(entry.input == nullptr && entry.output == nullptr);
        if (entry.registered && !forked()) {
            epoll_event unused = {};
            ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, &unused);
        }
        entry = Entry{.generation = entry.generation + 1};
    }
    os::Fd(fd).reset();
}

bool EpollKernel::may_have_events() const noexcept { return in_flight_ != 0 || wake_.pending(); }

int EpollKernel::collect(std::optional<Duration> timeout, epoll_event* events) {
    if (timeout && has_pwait2_ && *timeout > Duration::zero()) {
        const auto count = timeout->count();
        const timespec limit = {static_cast<std::time_t>(count / 1'000'000'000),
                                static_cast<long>(count % 1'000'000'000)};
        const long result = ::syscall(SYS_epoll_pwait2, epoll_.get(), events, events_per_wait,
                                      &limit, nullptr, std::size_t{8});
        // ENOSYS before Linux 5.11; EPERM from system call filters older than the call.
        if (result >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(result);
        has_pwait2_ = false;
    }
    const int limit = timeout ? round_up_to_milliseconds(*timeout) : -1;
    return ::epoll_wait(epoll_.get(), events, events_per_wait, limit);
}

void EpollKernel::wait(std::optional<Duration> timeout) {
    attach_to_thread();
    const bool has_work =
        !ready_.empty() || !finished_inputs_.empty() || !finished_outputs_.empty();
    if (has_work) timeout = Duration::zero();
    received_ = 0;
    epoll_event events[events_per_wait];
    const int count = collect(timeout, events);
    if (count < 0 && errno != EINTR) os::throw_system_error(errno, "wait for events");
    dispatch({events, static_cast<std::size_t>(std::max(count, 0))});
}

}  // namespace asyncio::kernel
