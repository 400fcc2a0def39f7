// SPDX-License-Identifier: MIT
#include <asyncio/loop/report_error.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/subprocess/child.hpp>
#include <asyncio/subprocess/launch.hpp>
#include <asyncio/subprocess/subprocess_transport.hpp>

#include <csignal>

namespace asyncio {

using net::Direction;

void SubprocessProtocol::destroy() noexcept {
    if (owner_) {
        const Shared<void> last = std::move(owner_);
        return;
    }
    delete this;
}

/// One of the program's descriptors, on the transport of our end.
class SubprocessTransport::Pipe final : public stream::Protocol {
  public:
    Pipe(SubprocessTransport& owner, int fd) noexcept : owner_(&owner), fd_(fd) {}

    Transport* transport() const noexcept { return transport_.get(); }
    void let_go() noexcept { owner_ = nullptr; }

    void connection_made(Transport& transport) override { transport_ = Ref<Transport>(&transport); }
    void data_received(std::span<const std::byte> data) override {
        if (owner_ == nullptr) return;
        // Not for the transport to hear, which would end with it.
        owner_->tell("Exception in SubprocessProtocol.pipe_data_received()",
                     [&] { owner_->protocol_->pipe_data_received(fd_, data); });
    }
    bool eof_received() override { return false; }
    void connection_lost(std::exception_ptr error) override {
        transport_ = Ref<Transport>();
        if (owner_ != nullptr) std::exchange(owner_, nullptr)->pipe_lost(fd_, std::move(error));
    }
    void pause_writing() override {
        if (owner_ != nullptr) owner_->protocol_->pause_writing();
    }
    void resume_writing() override {
        if (owner_ != nullptr) owner_->protocol_->resume_writing();
    }
    void destroy() noexcept override { delete this; }

  private:
    ~Pipe() = default;

    SubprocessTransport* owner_;  // null when it is gone
    int fd_;
    Ref<Transport> transport_;
};

Ref<SubprocessTransport> SubprocessTransport::start(EventLoop& loop, subprocess::Launch& launch,
                                                    Ref<SubprocessProtocol> protocol) {
    subprocess::OurEnds ends;
    auto child = subprocess::Child::make(loop, launch.program());
    Ref<SubprocessTransport> self(new SubprocessTransport(loop, child, std::move(protocol)));
    child->watch(launch.run(ends));
    try {
        self->open_pipes(ends);
    } catch (...) {
        self->abandon();
        launch.rethrow_of_ends();
    }
    self->add_ref();  // its own, until connection_lost
    loop.members().push_back(*self);
    self->child_->set_on_exit(self.get());  // which is told by the loop only
    try {
        self->protocol_->connection_made(*self);
    } catch (...) {
        self->close();
        throw;
    }
    return self;
}

SubprocessTransport::SubprocessTransport(EventLoop& loop, Ref<subprocess::Child> child,
                                         Ref<SubprocessProtocol> protocol)
    : Runnable(&take_turn), loop_(loop), child_(std::move(child)), protocol_(std::move(protocol)) {}

SubprocessTransport::~SubprocessTransport() = default;

void SubprocessTransport::open_pipe(int fd, os::Fd& end, bool both) {
    const Direction direction = both      ? Direction::both
                                : fd == 0 ? Direction::write
                                          : Direction::read;
    pipes_[fd] = Ref<Pipe>(new Pipe(*this, fd));
    net::SocketTransport::open_pipe(loop_, end.get(), pipes_[fd], direction);
    (void)end.release();  // taken now
    ++open_pipes_;
}

void SubprocessTransport::open_pipes(subprocess::OurEnds& ends) {
    for (int fd = 0; fd < 3; ++fd)
        if (ends.pipes[fd]) open_pipe(fd, ends.pipes[fd], false);
    if (!ends.terminal) return;
    const int first = ends.on_terminal[1] ? 1 : ends.on_terminal[0] ? 0 : 2;
    open_pipe(first, ends.terminal, true);
    for (int fd = 0; fd < 3; ++fd)
        if (ends.on_terminal[fd]) pipes_[fd] = pipes_[first];
}

/// Its protocol has heard of no connection, so it hears of no end.
void SubprocessTransport::abandon() {
    close();
    for (const Ref<Pipe>& pipe : pipes_)
        if (pipe) pipe->let_go();
}

Transport* SubprocessTransport::get_pipe_transport(int fd) const noexcept {
    return fd >= 0 && fd < 3 && pipes_[fd] ? pipes_[fd]->transport() : nullptr;
}

int SubprocessTransport::get_pid() const noexcept { return child_->pid(); }
std::optional<int> SubprocessTransport::get_returncode() const noexcept {
    return child_->returncode();
}
void SubprocessTransport::send_signal(int signal) { child_->send_signal(signal); }
void SubprocessTransport::terminate() { send_signal(SIGTERM); }
void SubprocessTransport::kill() { send_signal(SIGKILL); }

void SubprocessTransport::close() {
    if (std::exchange(closing_, true)) return;
    for (int fd = 0; fd < 3; ++fd)
        if (Transport* pipe = get_pipe_transport(fd)) pipe->close();
    child_->kill();
}

template <class Call>
void SubprocessTransport::tell(const char* what, Call&& call) noexcept {
    try {
        call();
    } catch (...) {
        loop::report_error(loop_, what, std::current_exception());
    }
}

void SubprocessTransport::pipe_lost(int fd, std::exception_ptr error) {
    --open_pipes_;
    tell("Exception in SubprocessProtocol.pipe_connection_lost()",
         [&] { protocol_->pipe_connection_lost(fd, std::move(error)); });
    finish_if_over();
}

void SubprocessTransport::take_turn(Runnable& runnable, Turn turn) {
    if (turn == Turn::discard) return;
    auto& self = static_cast<SubprocessTransport&>(runnable);
    self.exited_ = true;
    self.tell("Exception in SubprocessProtocol.process_exited()",
              [&] { self.protocol_->process_exited(); });
    self.finish_if_over();
}

void SubprocessTransport::finish_if_over() {
    if (!exited_ || open_pipes_ != 0 || !loop::Member::linked()) return;
    closing_ = true;
    loop::Member::unlink();
    tell("Exception in SubprocessProtocol.connection_lost()",
         [&] { protocol_->connection_lost(nullptr); });
    if (drop_ref()) destroy();
}

void SubprocessTransport::loop_closed() noexcept {
    child_->set_on_exit(nullptr);
    for (const Ref<Pipe>& pipe : pipes_)
        if (pipe) pipe->let_go();
    if (drop_ref()) destroy();
}

namespace subprocess {

namespace {

Coro<Opened> open_launched(Factory factory, Launch launch) {
    Opened opened;
    opened.protocol = factory->make();
    opened.transport = SubprocessTransport::start(get_running_loop(), launch, opened.protocol);
    co_return opened;
}

}  // namespace

ASYNCIO_CORO_WRAPPER Coro<Opened> open(Factory factory, SubprocessOptions options,
                                       std::vector<std::string> words) {
    return open_launched(std::move(factory), Launch(options, std::move(words)));
}

}  // namespace subprocess

}  // namespace asyncio
