// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/base/system_error.hpp>
#include <asyncio/file/blocking_transport.hpp>
#include <asyncio/file/call.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/inbox.hpp>
#include <asyncio/loop/report_error.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/socket_address.hpp>
#include <asyncio/stream/protocol.hpp>
#include <asyncio/thread/thread_pool_executor.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <stdexcept>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>

namespace asyncio::file {

namespace {

/// How long a closing loop waits for a write that is going on.
constexpr Duration kPatience = std::chrono::seconds(1);

os::Fd copy_of(int fd) {
    os::Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) os::throw_system_error(errno, "descriptor " + std::to_string(fd));
    return copy;
}

std::ptrdiff_t write_to(int fd, std::string_view data) noexcept {
    const iovec part = {const_cast<char*>(data.data()), data.size()};  // not written through
    return os::try_write(fd, &part, 1);
}

}  // namespace

/// One read or write on a thread. Only the thread uses `data` and `result` until it has ended.
struct BlockingTransport::Job {
    explicit Job(BlockingTransport& transport)
        : owner(&transport), inbox(transport.loop_.inbox()), fd(transport.for_threads_) {}

    void run(Direction direction) noexcept {
        if (direction == Direction::read)
            result = os::try_read(fd->get(), std::as_writable_bytes(std::span(data)));
        else
            result = write_to(fd->get(), data);
    }

    BlockingTransport* owner;  // the loop's side only; null: left alone
    Shared<loop::Inbox> inbox;
    loop::Inbox::Place place;
    std::shared_ptr<const os::Fd> fd;
    std::string data;
    std::ptrdiff_t result = 0;
    ConcurrentFuture<> end;
};

Ref<BlockingTransport> BlockingTransport::open(EventLoop& loop, int fd,
                                               Ref<stream::Protocol> protocol,
                                               Direction direction) {
    Ref<BlockingTransport> transport(
        new BlockingTransport(loop, copy_of(fd), std::move(protocol), direction));
    transport->add_ref();  // its own, until lost
    loop.members().push_back(*transport);
    transport->protocol_->connection_made(*transport);
    if (direction == Direction::read) transport->resume_reading();
    return transport;
}

BlockingTransport::BlockingTransport(EventLoop& loop, os::Fd fd, Ref<stream::Protocol> protocol,
                                     Direction direction)
    : Runnable(&take_turn),
      loop_(loop),
      protocol_(std::move(protocol)),
      for_threads_(std::make_shared<const os::Fd>(copy_of(fd.get()))),
      fd_(fd.release()),
      direction_(direction) {
    always_ready_ = os::kind_of(fd_) == os::FileKind::other;
    poll_.owner = this;
    poll_.fd = fd_;
    poll_.events = direction == Direction::read ? POLLIN : POLLOUT;
}

BlockingTransport::~BlockingTransport() = default;

// --- both directions ---------------------------------------------------------------------------

/// Start the next call, if one is wanted.
void BlockingTransport::go_on() {
    if (!idle() || stage_ > Stage::closing) return;
    const bool wanted =
        direction_ == Direction::read ? reading_ && stage_ == Stage::open : !pending_.empty();
    if (!wanted) return;
    if (!always_ready_ && loop_.kernel().submit(poll_)) return;
    start_job();
}

void BlockingTransport::on_poll(kernel::Operation& operation, const kernel::Completion&) {
    auto& self = *static_cast<BlockingTransport*>(operation.owner);
    const Ref<BlockingTransport> keep(&self);
    if (self.stage_ == Stage::losing) return self.finish_if_idle();
    // Whatever the poll said: the call will tell the error.
    if (self.direction_ == Direction::write || self.reading_) self.start_job();
}

void BlockingTransport::start_job() {
    try {
        const auto job = std::make_shared<Job>(*this);
        if (direction_ == Direction::read)
            job->data.resize(kPiece);
        else
            job->data = pending_.take(std::min(pending_.size(), always_ready_ ? kPiece : PIPE_BUF));
        job_ = job;
        job->end = threads().submit([job, direction = direction_] { job->run(direction); });
        job->end.add_done_callback([job](const ConcurrentFuture<>&) {
            job->inbox->try_post(
                [job] {
                    if (job->owner != nullptr) job->owner->done(*job);
                },
                job->place);
        });
    } catch (...) {
        job_.reset();
        lose(std::current_exception());
    }
}

void BlockingTransport::done(Job& job) {
    const Ref<BlockingTransport> keep(this);
    const std::shared_ptr<Job> ended = std::move(job_);
    if (job.result == -EAGAIN) {  // somebody else made it non-blocking, and was faster
        if (direction_ == Direction::write) pending_.prepend(std::as_bytes(std::span(job.data)));
    } else if (job.result < 0) {
        const char* what = direction_ == Direction::read ? "read" : "write";
        return lose(make_system_error(static_cast<int>(-job.result), what));
    } else if (direction_ == Direction::write) {
        written(job);
    } else if (job.result == 0) {
        return input_ended();
    } else {
        received(std::as_bytes(std::span(job.data)).first(static_cast<std::size_t>(job.result)));
    }
    go_on();
}

// --- reading -----------------------------------------------------------------------------------

void BlockingTransport::resume_reading() {
    if (stage_ != Stage::open || direction_ == Direction::write) return;
    reading_ = true;
    go_on();
}

void BlockingTransport::received(std::span<const std::byte> data) {
    if (stage_ != Stage::open) return;
    const Ref<stream::Protocol> protocol = protocol_;
    try {
        protocol->data_received(data);
    } catch (...) {
        lose(std::current_exception());
        report("Fatal error: protocol.data_received() call failed.");
    }
}

void BlockingTransport::input_ended() {
    if (stage_ != Stage::open) return;
    reading_ = false;
    const Ref<stream::Protocol> protocol = protocol_;
    try {
        (void)protocol->eof_received();
        close();
    } catch (...) {
        lose(std::current_exception());
        report("Fatal error: protocol.eof_received() call failed.");
    }
}

// --- writing -----------------------------------------------------------------------------------

std::size_t BlockingTransport::get_write_buffer_size() const noexcept {
    const bool writing = job_ != nullptr && direction_ == Direction::write;
    return pending_.size() + (writing ? job_->data.size() : 0);
}

void BlockingTransport::write(std::span<const std::byte> data) {
    if (direction_ == Direction::read) throw std::logic_error("this transport is for reading only");
    if (stage_ != Stage::open || data.empty()) return;
    pending_.append(data);
    if (idle()) loop_.before_poll(*this);
    update_flow();
}

/// What was not taken is written next.
void BlockingTransport::written(Job& job) {
    const auto data = std::as_bytes(std::span(job.data));
    if (stage_ <= Stage::closing)
        pending_.prepend(data.subspan(static_cast<std::size_t>(job.result)));
    update_flow();
    if (stage_ == Stage::closing && pending_.empty()) lose(nullptr);
}

void BlockingTransport::apply_write_buffer_limits(stream::WriteBufferLimits limits) {
    limits_ = limits;
    if (stage_ <= Stage::closing) update_flow();
}

void BlockingTransport::update_flow() {
    const std::size_t size = get_write_buffer_size();
    if (writing_paused_ ? size > limits_.low : size <= limits_.high) return;
    writing_paused_ = !writing_paused_;
    const Ref<stream::Protocol> protocol = protocol_;
    try {
        if (writing_paused_)
            protocol->pause_writing();
        else
            protocol->resume_writing();
    } catch (...) {
        report("protocol.pause_writing() or resume_writing() failed");
    }
}

void BlockingTransport::set_protocol(Ref<stream::Protocol> protocol) {
    if (stage_ == Stage::lost) return;
    const Ref<stream::Protocol> before = std::exchange(protocol_, std::move(protocol));
    before->replaced();
}

const SocketAddress& BlockingTransport::peername() const {
    static const SocketAddress none;
    return none;
}

// --- the end -----------------------------------------------------------------------------------

void BlockingTransport::close() {
    if (stage_ != Stage::open) return;
    stage_ = Stage::closing;
    begin_closing();
    reading_ = false;
    if (get_write_buffer_size() == 0) lose(nullptr);
}

void BlockingTransport::abort() {
    if (stage_ <= Stage::closing) lose(nullptr);
}

void BlockingTransport::report(const char* what) noexcept {
    loop::report_error(loop_, what, std::current_exception());
}

void BlockingTransport::lose(std::exception_ptr error) {
    if (stage_ >= Stage::losing) return;
    stage_ = Stage::losing;
    begin_closing();
    error_ = std::move(error);
    reading_ = false;
    pending_.clear();
    PollHook::unlink();
    if (job_) job_->owner = nullptr;
    job_.reset();
    loop_.kernel().cancel(poll_);
    finish_if_idle();
}

void BlockingTransport::finish_if_idle() {
    if (!poll_.idle() || turn_queued_) return;
    turn_queued_ = true;
    loop_.core().ready.push(*this);
}

void BlockingTransport::take_turn(Runnable& runnable, Turn turn) {
    auto& self = static_cast<BlockingTransport&>(runnable);
    if (turn == Turn::run) self.call_connection_lost();
}

void BlockingTransport::call_connection_lost() {
    const Ref<BlockingTransport> keep(this);
    stage_ = Stage::lost;
    begin_closing();
    loop::Member::unlink();
    (void)drop_ref();  // its own; `keep` is there
    loop_.kernel().close(std::exchange(fd_, -1));
    const Ref<stream::Protocol> protocol = std::move(protocol_);
    try {
        protocol->connection_lost(error_);
    } catch (...) {
        report("protocol.connection_lost() failed");
    }
}

/// The loop closes: what was written goes out, as far as nobody has to be waited for.
void BlockingTransport::flush_at_the_end() noexcept {
    std::string_view rest;
    if (job_) {
        if (!job_->end.wait(kPatience)) return;
        rest = std::string_view(job_->data)
                   .substr(static_cast<std::size_t>(std::max<std::ptrdiff_t>(job_->result, 0)));
    }
    for (std::string_view part : {rest, pending_.view()}) {
        while (!part.empty()) {
            pollfd ready = {fd_, POLLOUT, 0};
            if (!always_ready_ && ::poll(&ready, 1, 0) != 1) return;
            const std::size_t size = always_ready_ ? part.size() : PIPE_BUF;
            const std::ptrdiff_t count = write_to(fd_, part.substr(0, size));
            if (count <= 0) return;
            part.remove_prefix(static_cast<std::size_t>(count));
        }
    }
}

void BlockingTransport::loop_closed() noexcept {
    const Ref<BlockingTransport> keep(this);
    if (direction_ == Direction::write && stage_ <= Stage::closing) flush_at_the_end();
    PollHook::unlink();
    if (job_) job_->owner = nullptr;
    job_.reset();
    loop_.kernel().reclaim(poll_);
    loop_.kernel().close(std::exchange(fd_, -1));
    stage_ = Stage::lost;
    begin_closing();
    protocol_ = Ref<stream::Protocol>();
    (void)drop_ref();
}

}  // namespace asyncio::file
