// SPDX-License-Identifier: MIT
#include <asyncio/file/call.hpp>
#include <asyncio/file/inotify_changes.hpp>
#include <asyncio/file/on_thread.hpp>
#include <asyncio/file/watch.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/inotify.hpp>
#include <asyncio/task/wait_list.hpp>

#include <algorithm>
#include <cerrno>
#include <new>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/inotify.h>

namespace asyncio::fs {

namespace {

constexpr std::uint32_t kInteresting = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB |
                                       IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                       IN_MOVE_SELF | IN_EXCL_UNLINK;

/// The descriptor is another name of the instance: a thread may use it while the first is closed.
os::Fd another(int fd) { return os::Fd(file::check(os::duplicate(fd), "watch:", "dup")); }

using NumberedPath = std::pair<int, std::string>;

/// What a look at the paths has found.
struct Seen {
    std::vector<int> gone;       // no longer what is watched under their numbers
    std::vector<int> strangers;  // numbers of what is there now
};

/// Blocks. To watch what is watched already changes nothing, and tells its number.
Seen look_at(int fd, const std::vector<NumberedPath>& paths) {
    Seen seen;
    for (const auto& [number, path] : paths) {
        const int found = os::add_watch(fd, path.c_str(), kInteresting);
        const bool nothing = found == -ENOENT || found == -ENOTDIR || found == -ENOSPC;
        if (found == number || (found < 0 && !nothing)) continue;
        if (found >= 0) seen.strangers.push_back(found);
        (void)os::remove_watch(fd, number);
        seen.gone.push_back(number);
    }
    return seen;
}

}  // namespace

std::string Change::path() const {
    if (name.empty()) return watched;
    return watched + (watched.ends_with('/') ? "" : "/") + name;
}

/// The inotify instance, what it watches, and what was read of it. Whoever waits is woken by one
/// poll, which is there only while somebody waits; what it wakes them for they read themselves.
struct Watch::State final : private loop::Member {
    explicit State(EventLoop& l)
        : loop(l), fd(file::check(os::open_inotify(), "watch:", "inotify_init")) {
        poll.owner = this;
        poll.fd = fd.get();
        poll.events = POLLIN;
        loop.members().push_back(*this);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { close(); }

    bool open() const noexcept { return static_cast<bool>(fd); }

    void close() noexcept {
        if (!open()) return;
        loop::Member::unlink();
        shut();
        changed.wake_all();
    }

    /// False: there is nothing yet.
    bool read() {
        alignas(inotify_event) std::byte buffer[kBuffer];
        const std::ptrdiff_t size = os::read_records(fd.get(), buffer);
        if (size == -EAGAIN) {
            changes.run_dry();
            if (changes.empty()) return false;
            changed.wake_all();
            return true;
        }
        file::check(static_cast<int>(size), "watch:", "read");
        changed.wake_all();  // their poll says nothing of what is taken out here
        changes.read(std::span(buffer).first(static_cast<std::size_t>(size)),
                     os::unread_bytes(fd.get()));
        for (const int number : changes.take_unwanted()) {
            if (changes.paths().contains(number))
                doubt(number);
            else
                (void)os::remove_watch(fd.get(), number);
        }
        return true;
    }

    /// It was moved; but maybe added since, under the name it has now.
    void doubt(int number) noexcept {
        try {
            moved.push_back(number);
        } catch (const std::bad_alloc&) {
            changes.set_lost();  // then a look at all
        }
    }

    void expect_more() {
        if (!poll.idle()) return;
        if (!loop.kernel().submit(poll))
            file::check(poll.inline_result, "poll", "an inotify instance");
    }

    EventLoop& loop;
    os::Fd fd;
    kernel::Operation poll{kernel::Opcode::poll, &on_completion};
    file::InotifyChanges changes;
    std::vector<int> moved;  // to be looked at
    task::WaitList changed;

  private:
    static void on_completion(kernel::Operation& operation, const kernel::Completion&) {
        static_cast<State*>(operation.owner)->changed.wake_all();
    }

    void shut() noexcept {
        loop.kernel().reclaim(poll);
        loop.kernel().close(fd.release());
        changes.clear();
    }

    void loop_closed() noexcept override { shut(); }
};

namespace {

using State = Shared<Watch::State>;

/// At what was moved, or at all: records were lost, and among them may have been the last of a
/// path, which is not told twice.
Coro<> look_again(State state, bool at_all) {
    struct Unless {  // it came to its end
        State state;
        ~Unless() {
            if (!state) return;
            state->changes.set_lost();
            state->changed.wake_all();  // the next one looks
        }
    } lost{state};
    const std::vector<int> moved = std::exchange(state->moved, {});
    std::vector<NumberedPath> paths;
    for (const auto& [number, path] : state->changes.paths())
        if (at_all || std::ranges::find(moved, number) != moved.end())
            paths.emplace_back(number, path);
    auto fd = Shared<os::Fd>::make(another(state->fd.get()));
    auto look = [fd, paths = std::move(paths)] { return look_at(fd->get(), paths); };
    const Seen seen = co_await file::on_thread(std::move(look));
    lost.state = nullptr;
    if (!state->open()) co_return;
    for (const int number : seen.gone) state->changes.end(number);
    // A stranger may be what somebody adds just now. One that stays goes with its first record.
    for (const int number : seen.strangers)
        if (!state->changes.paths().contains(number) && !state->changes.is_adding())
            (void)os::remove_watch(state->fd.get(), number);
    state->changed.wake_all();
}

Coro<std::optional<Change>> next_change(State state) {
    std::optional<Change> change;
    while (state->changes.empty() || !state->moved.empty()) {
        if (!state->open()) co_return change;
        if (state->changes.empty() && state->read()) continue;
        const bool lost = state->changes.empty() && state->changes.take_lost();
        if (lost || !state->moved.empty()) {
            co_await look_again(state, lost);
            continue;
        }
        if (state->changes.paths().empty()) co_return change;
        state->expect_more();
        if (!state->poll.idle()) co_await task::NextWake(state->changed);
    }
    change = state->changes.take();
    co_return change;
}

Coro<> add_path(State state, std::string path) {
    if (!state->open()) throw std::invalid_argument("add() to a closed Watch");
    const file::InotifyChanges::Adding adding(state->changes);
    auto fd = Shared<os::Fd>::make(another(state->fd.get()));
    auto add = [fd, path] { return os::add_watch(fd->get(), path.c_str(), kInteresting); };
    const int number = file::check(co_await file::on_thread(std::move(add)), "watch", path);
    if (!state->open()) co_return;
    state->changes.add(number, std::move(path));
    if (!state->changes.empty()) state->changed.wake_all();
}

Coro<Watch> begin(std::string path) {
    auto state = Shared<Watch::State>::make(get_running_loop());
    co_await add_path(state, std::move(path));
    co_return Watch(std::move(state));
}

}  // namespace

Watch::Watch(Shared<State> state) noexcept : state_(std::move(state)) {}
Watch::Watch(Watch&&) noexcept = default;
Watch& Watch::operator=(Watch&& other) noexcept {
    if (this == &other) return *this;
    close();
    state_ = std::move(other.state_);
    return *this;
}
Watch::~Watch() { close(); }

ASYNCIO_CORO_WRAPPER Coro<std::optional<Change>> Watch::next() const { return next_change(state_); }

ASYNCIO_CORO_WRAPPER Coro<> Watch::add(std::string_view path) const {
    return add_path(state_, file::checked_path(path));
}

void Watch::close() const noexcept {
    if (state_) state_->close();
}

ASYNCIO_CORO_WRAPPER Coro<Watch> watch(std::string_view path) {
    return begin(file::checked_path(path));
}

}  // namespace asyncio::fs
