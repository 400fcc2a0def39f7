// SPDX-License-Identifier: MIT
#include <asyncio/file/call.hpp>
#include <asyncio/file/on_thread.hpp>
#include <asyncio/file/watch.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/task/wait_list.hpp>

#include <cerrno>
#include <cstring>
#include <deque>
#include <stdexcept>
#include <unordered_map>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace asyncio::fs {

namespace {

using Kind = Change::Kind;

constexpr std::uint32_t kInteresting = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB |
                                       IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                       IN_MOVE_SELF | IN_EXCL_UNLINK;

struct KindOf {
    std::uint32_t bit;
    Kind kind;
};
constexpr KindOf kKinds[] = {
    {IN_CREATE, Kind::created},    {IN_MODIFY, Kind::modified}, {IN_CLOSE_WRITE, Kind::written},
    {IN_ATTRIB, Kind::attributes}, {IN_DELETE, Kind::removed},  {IN_MOVED_FROM, Kind::moved_from},
    {IN_MOVED_TO, Kind::moved_to}, {IN_IGNORED, Kind::gone},
};

/// The descriptor is another name of the instance: a thread may use it while the first is closed.
os::Fd another(int fd) {
    os::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) os::throw_system_error(errno, "watch");
    return copy;
}

int add_watch(int fd, const std::string& path) {
    const int number = ::inotify_add_watch(fd, path.c_str(), kInteresting);
    if (number < 0) os::throw_system_error(errno, "watch " + path);
    return number;
}

}  // namespace

std::string Change::path() const {
    if (name.empty()) return watched;
    return watched + (watched.ends_with('/') ? "" : "/") + name;
}

/// The inotify instance, what it watches, and what was read of it. Whoever waits is woken by one
/// poll, which is there only while somebody waits; what it wakes them for they read themselves.
struct Watch::State final : private loop::Member {
    explicit State(EventLoop& l) : loop(l), fd(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
        if (os::simulated_system != nullptr) os::throw_system_error(ENOSYS, "watch");
        if (!fd) os::throw_system_error(errno, "watch: inotify_init");
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
        alignas(inotify_event) char buffer[kBuffer];
        ssize_t size = 0;
        do size = ::read(fd.get(), buffer, sizeof buffer);
        while (size < 0 && errno == EINTR);
        if (size < 0 && errno != EAGAIN) os::throw_system_error(errno, "watch: read");
        for (ssize_t at = 0; at < size;) {
            inotify_event event;
            std::memcpy(&event, buffer + at, sizeof event);
            take(event, event.len == 0 ? "" : buffer + at + sizeof event);
            at += static_cast<ssize_t>(sizeof event + event.len);
        }
        return size > 0;
    }

    void expect_more() {
        if (!poll.idle()) return;
        if (!loop.kernel().submit(poll))
            file::check(poll.inline_result, "poll", "an inotify instance");
    }

    EventLoop& loop;
    os::Fd fd;
    kernel::Operation poll{kernel::Opcode::poll, &on_completion};
    std::unordered_map<int, std::string> paths;
    std::deque<Change> changes;  // of one read
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

    void take(const inotify_event& event, const char* name) {
        if ((event.mask & IN_Q_OVERFLOW) != 0) changes.emplace_back();
        const auto path = paths.find(event.wd);
        if (path == paths.end()) return;
        // What is elsewhere now is not what was asked for; IN_IGNORED follows.
        if ((event.mask & IN_MOVE_SELF) != 0) ::inotify_rm_watch(fd.get(), event.wd);
        for (const KindOf& known : kKinds)
            if ((event.mask & known.bit) != 0)
                changes.push_back(Change{.kind = known.kind,
                                         .is_dir = (event.mask & IN_ISDIR) != 0,
                                         .pair = event.cookie,
                                         .watched = path->second,
                                         .name = name});
        if ((event.mask & IN_IGNORED) != 0) paths.erase(path);
    }
};

namespace {

using State = std::shared_ptr<Watch::State>;

Coro<std::optional<Change>> next_change(State state) {
    std::optional<Change> change;
    while (state->changes.empty()) {
        if (!state->open()) co_return change;
        if (state->read()) continue;
        if (state->paths.empty()) co_return change;
        state->expect_more();
        if (!state->poll.idle()) co_await task::NextWake(state->changed);
    }
    change = std::move(state->changes.front());
    state->changes.pop_front();
    co_return change;
}

Coro<> add_path(State state, std::string path) {
    if (!state->open()) throw std::invalid_argument("add() to a closed Watch");
    auto fd = std::make_shared<os::Fd>(another(state->fd.get()));
    auto add = [fd, path] { return add_watch(fd->get(), path); };
    const int number = co_await file::on_thread(std::move(add));
    state->paths[number] = std::move(path);
}

Coro<Watch> begin(std::string path) {
    auto state = std::make_shared<Watch::State>(get_running_loop());
    co_await add_path(state, std::move(path));
    co_return Watch(std::move(state));
}

}  // namespace

Watch::Watch(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
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
