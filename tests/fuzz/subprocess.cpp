// SPDX-License-Identifier: MIT
//
// A program and who started it, by a protocol or as a Process, in a simulated world: the program
// writes, reads, sleeps, closes and ends as the bytes say; the other end writes, closes, pauses,
// signals, cancels what it waits for and lets go, at any time and in any order, also from within
// callbacks, some of which throw. connection_made comes first, connection_lost once, last and only
// after the exit and all pipes; the return code is what the program returned or a signal that was
// sent; nothing it wrote is lost unless somebody killed it or closed that pipe; what it read is the
// beginning of what it was given. The world sees to it that nothing is left and all ends.
//
// covers: subprocess/child.cpp subprocess/subprocess_transport.cpp subprocess/process.cpp
#include <asyncio/base/log.hpp>
#include <asyncio/task/future.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/testing/simulation.hpp>

#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include "fuzz.hpp"
#include "scripted_program.hpp"
#include "scripted_user.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;
using namespace std::chrono_literals;

// --- by a protocol -------------------------------------------------------------------------------

class WithProtocol final : private ProgramStarter {
  public:
    WithProtocol(Input& bytes, ScriptedProgram& started) : ProgramStarter(bytes, started) {}

    Coro<> run() {
        over_ = get_running_loop().create_future<void>();
        co_await open();
        while (!input.empty() && !lost_) {
            act();
            co_await sleep(some_time(input));
        }
        if (lost_) co_return;
        switch (given_.size() % 8) {
            case 0:
            case 1:
                co_return;  // its loop closes under it
            case 2:
            case 3:
                close();
                break;
            default:
                let_it_end();
        }
        co_await *over_;
    }

    void check_end() const {
        if (!made_) FUZZ_CHECK(failed_ && !lost_);
        if (!lost_) return;
        FUZZ_CHECK(exited_);
        check_returncode(*transport_->get_returncode());
        for (const int fd : {1, 2})
            if (leads_here(fd)) check_output(fd, text_[fd], !is_disturbed() && !cut_[fd]);
        FUZZ_CHECK(given_.starts_with(program.got));
        const bool whole = program.got_end && !cut_[0] && !is_disturbed();
        if (whole) FUZZ_CHECK(program.got == given_);
    }

  private:
    class Protocol final : public SubprocessProtocol {
      public:
        explicit Protocol(WithProtocol& owner) : owner_(owner) {}
        void connection_made(SubprocessTransport& transport) override { owner_.made(transport); }
        void pipe_data_received(int fd, std::span<const std::byte> data) override {
            owner_.data(fd, data);
        }
        void pipe_connection_lost(int fd, std::exception_ptr error) override {
            owner_.pipe_lost(fd, error);
        }
        void process_exited() override { owner_.exited(); }
        void connection_lost(std::exception_ptr error) override { owner_.lost(error); }
        void pause_writing() override { owner_.flow(true); }
        void resume_writing() override { owner_.flow(false); }

      private:
        WithProtocol& owner_;
    };

    using Opened = std::pair<Ref<SubprocessTransport>, Ref<Protocol>>;
    Coro<Opened> start() {
        EventLoop& loop = get_running_loop();
        const auto make = [this] { return std::make_unique<Protocol>(*this); };
        const auto make_shared = [this] { return std::make_shared<Protocol>(*this); };
        if (program.code == 0)
            co_return co_await loop.subprocess_shell(make, options, "exec program argument");
        if (program.code == 1)
            co_return co_await loop.subprocess_exec(make_shared, options, "program", "argument");
        co_return co_await loop.subprocess_exec(make, options, "program", "argument");
    }
    Coro<> open() {
        auto opened = co_await as_outcome(start());
        failed_ = !opened;
        FUZZ_CHECK(made_ && failed_ == failed_at_start_);
        if (failed_) co_await *over_;  // it is told the end of what it has refused
        if (opened) FUZZ_CHECK(opened->first.get() == transport_.get());
    }

    // --- what it is told ---

    void made(SubprocessTransport& transport) {
        FUZZ_CHECK(!made_);
        made_ = true;
        transport_ = Ref<SubprocessTransport>(&transport);
        for (int fd = 0; fd < 3; ++fd)
            FUZZ_CHECK((transport.get_pipe_transport(fd) != nullptr) == leads_here(fd));
        FUZZ_CHECK(!transport.get_returncode() && transport.get_pid() > 0);
        failed_at_start_ = true;
        act_in_callback();
        failed_at_start_ = false;
    }
    void data(int fd, std::span<const std::byte> data) {
        check_called();
        FUZZ_CHECK((fd == 1 || fd == 2) && leads_here(fd) && !pipe_lost_[fd] && !data.empty());
        FUZZ_CHECK(!transport_->get_pipe_transport(fd)->is_closing());
        text_[fd] += as_text(data);
        act_in_callback();
    }
    void pipe_lost(int fd, const std::exception_ptr& error) {
        check_called();
        FUZZ_CHECK(leads_here(fd) && !std::exchange(pipe_lost_[fd], true) && calls_ == 0);
        FUZZ_CHECK(transport_->get_pipe_transport(fd) == nullptr);
        if (error) check_reason(fd, error);
        act_in_callback();
    }
    void exited() {
        check_called();
        FUZZ_CHECK(!std::exchange(exited_, true) && calls_ == 0 && transport_->get_returncode());
        act_in_callback();
    }
    void lost(const std::exception_ptr& error) {
        check_called();
        FUZZ_CHECK(exited_ && calls_ == 0 && !error && transport_->is_closing());
        for (int fd = 0; fd < 3; ++fd) FUZZ_CHECK(pipe_lost_[fd] == leads_here(fd));
        lost_ = true;
        over_->set_result();
        act_in_callback();
    }
    void flow(bool paused) {
        check_called();
        FUZZ_CHECK(paused_ != paused && !pipe_lost_[0]);
        paused_ = paused;
        act_in_callback();
    }
    void check_called() const { FUZZ_CHECK(made_ && !lost_); }
    /// Input that was not wanted any more.
    static void check_reason(int fd, const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const std::system_error& e) {
            FUZZ_CHECK(fd == 0 && e.code().value() == EPIPE);
        }
    }
    void act_in_callback() {
        if (input.below(4) == 1) act();
        if (input.below(16) != 1) return;
        if (failed_at_start_) close_all();
        throw Thrown();
    }

    // --- what it does ---

    Transport* pipe(int fd) const { return transport_->get_pipe_transport(fd); }
    void act() {
        ++calls_;
        call(input.below(16));
        --calls_;
    }
    void call(size_t kind) {
        const int fd = input.chance() ? 1 : 2;
        switch (kind) {
            case 0:
            case 1:
                return write();
            case 2:
                if (pipe(0) != nullptr) pipe(0)->write_eof();
                return;
            case 3:
                return cut(input.below(3));
            case 4:
                if (pipe(fd) != nullptr) pipe(fd)->pause_reading();
                return;
            case 5:
                if (pipe(fd) != nullptr) pipe(fd)->resume_reading();
                return;
            case 6:
                return signal(*transport_);
            case 7:
                if (input.below(8) == 1) close();
                return;
            case 8:
                if (pipe(0) != nullptr) pipe(0)->set_write_buffer_limits(some_size(input));
                return;
            default:
                return;
        }
    }
    void write() {
        Transport* const in = pipe(0);
        if (in == nullptr || in->is_closing()) return;
        const std::string text = pattern('a', given_.size(), some_size(input));
        given_ += text;
        in->write(text);
    }
    void cut(size_t fd) {
        if (input.below(4) != 1 || pipe(static_cast<int>(fd)) == nullptr) return;
        cut_[fd] = true;
        if (input.chance())
            pipe(static_cast<int>(fd))->close();
        else
            pipe(static_cast<int>(fd))->abort();
    }
    void close_all() {
        for (bool& cut : cut_) cut = true;
        if (!transport_->get_returncode()) sent.insert(SIGKILL);
    }
    void close() {
        if (!transport_->is_closing()) close_all();
        transport_->close();
        FUZZ_CHECK(transport_->is_closing());
    }
    void let_it_end() {
        if (!transport_->get_returncode()) send(*transport_, SIGCONT);
        if (pipe(0) != nullptr) pipe(0)->write_eof();
        for (const int fd : {1, 2})
            if (pipe(fd) != nullptr) pipe(fd)->resume_reading();
    }

    Ref<SubprocessTransport> transport_;
    std::optional<Future<>> over_;
    std::string given_;
    std::string text_[3];
    int calls_ = 0;
    bool made_ = false;
    bool failed_ = false;
    bool failed_at_start_ = false;
    bool cut_[3] = {};
    bool pipe_lost_[3] = {};
    bool paused_ = false;
    bool exited_ = false;
    bool lost_ = false;
};

// --- as a Process --------------------------------------------------------------------------------

class AsProcess final : private ProgramStarter {
  public:
    AsProcess(Input& bytes, ScriptedProgram& started) : ProgramStarter(bytes, started) {}

    Coro<> run() {
        Process started = co_await start();
        Process moved = std::move(started);
        started = std::move(moved);
        process_ = std::move(started);
        FUZZ_CHECK(process_->pid() > 0 && !process_->returncode());
        while (!input.empty()) {
            co_await act(input.below(12));
            co_await sleep(some_time(input));
        }
        if (!process_->returncode()) send(*process_, SIGCONT);
        const bool drops = given_.size() % 4 == 1;
        if (drops) cancel_all();
        if (communicating_) co_await take_over();
        if (drops)
            co_await let_it_go();
        else
            co_await let_it_end();
        for (const Task<int>& waiting : waiting_) {
            const auto code = co_await as_outcome(waiting);
            if (code) check_returncode(*code);
            FUZZ_CHECK(code || code.cancelled());
        }
    }

    void check_end() const {
        for (const int fd : {1, 2})
            if (leads_here(fd)) check_output(fd, text_[fd], communicated_ && !is_disturbed());
        check_input();
        if (process_) check_returncode(*process_->returncode());
    }

  private:
    Coro<Process> start() {
        if (program.code == 0)
            co_return co_await create_subprocess_shell(options, "program argument");
        std::vector<std::string> words{"program", "argument"};
        if (program.code == 1) co_return co_await create_subprocess_exec(options, std::move(words));
        co_return co_await create_subprocess_exec(options, "program", "argument");
    }

    /// What it read: of each piece that was given the beginning, of all but those that were
    /// cancelled all.
    void check_input() const {
        size_t at = 0;
        for (const auto& [text, whole] : given_) {
            size_t size = 0;
            while (size < text.size() && at + size < program.got.size() &&
                   text[size] == program.got[at + size])
                ++size;
            at += size;
            if (whole && size < text.size()) break;
        }
        FUZZ_CHECK(at == program.got.size());
        const bool all_given = given_.empty() || given_.back().whole;
        if (program.got_end && communicated_ && all_given && given_.size() == 1)
            FUZZ_CHECK(program.got == given_.front().text);
    }

    Coro<> act(size_t kind) {
        switch (kind) {
            case 0:
                waiting_.push_back(get_running_loop().create_task(process_->wait()));
                co_return;
            case 1:
                if (!waiting_.empty()) waiting_[input.below(waiting_.size())].cancel();
                co_return;
            case 2:
            case 3:
                if (!communicating_ && !stdin_closed_) communicate(some_size(input));
                co_return;
            case 4:
                if (communicating_) communicating_->cancel();
                co_return;
            case 5:
                reads_beside_ |= communicating_.has_value();
                co_await read(input.chance() ? 1 : 2);
                co_return;
            case 6:
                signal(*process_);
                co_return;
            case 7:
                if (communicating_ && communicating_->done()) co_await take_over();
                co_return;
            case 8:
                if (!communicating_ && !stdin_closed_ && leads_here(0)) {
                    const std::string text = next_piece(some_size(input));
                    given_.push_back({text, true});
                    process_->stdin_().write(text);
                }
                co_return;
            default:
                co_return;
        }
    }
    std::string next_piece(size_t size) const {
        return pattern(given_.size() % 2 == 0 ? 'a' : 'A', 0, size);
    }
    void communicate(size_t size) {
        std::string text;
        if (leads_here(0)) {
            text = next_piece(size);
            given_.push_back({text, true});
        }
        communicating_ = get_running_loop().create_task(process_->communicate(std::move(text)));
    }
    Coro<> take_over() {
        const Task<Communicated> task = *communicating_;
        communicating_.reset();
        const auto outcome = co_await as_outcome(task);
        if (outcome) {
            text_[1] += outcome->out;
            text_[2] += outcome->err;
            communicated_ = stdin_closed_ = true;
            FUZZ_CHECK(process_->returncode());
        } else {
            FUZZ_CHECK(outcome.cancelled() || reads_beside_);
            if (!given_.empty()) given_.back().whole = false;
        }
    }
    /// Some of what there is, if it comes soon.
    Coro<> read(int fd) {
        if (!leads_here(fd)) co_return;
        StreamReader& reader = fd == 1 ? process_->stdout_() : process_->stderr_();
        const size_t size = 1 + some_size(input);
        const auto text = co_await as_outcome(wait_for(reader.read(size), input.below(5) * 1ms));
        if (text) text_[fd] += *text;
    }
    void cancel_all() {
        if (communicating_) communicating_->cancel();
        for (const Task<int>& waiting : waiting_) waiting.cancel();
    }
    /// Nobody reads what it writes, its input has ended: so it ends, and is reaped.
    Coro<> let_it_go() {
        process_.reset();
        co_await sleep(1min);
        FUZZ_CHECK(program.returned || is_disturbed());
    }
    void check_that_it_has_no_terminal() const {
        bool refused = false;
        try {
            process_->set_terminal_size({});
        } catch (const std::system_error&) {
            refused = true;
        }
        FUZZ_CHECK(refused);
    }
    Coro<> let_it_end() {
        if (stdin_closed_) co_return;
        for (int tries = 0; !communicated_; ++tries) {
            FUZZ_CHECK(tries == 0 || (tries == 1 && reads_beside_));
            communicate(0);
            co_await take_over();
            co_await sleep(1min);  // what a failed one has left behind ends with the program
        }
        check_that_it_has_no_terminal();
        const int code = co_await process_->wait();
        FUZZ_CHECK(code == process_->returncode());
    }

    struct Piece {
        std::string text;
        bool whole;  // nobody cancelled what gave it
    };

    std::optional<Process> process_;
    std::optional<Task<Communicated>> communicating_;
    std::vector<Task<int>> waiting_;
    std::vector<Piece> given_;
    std::string text_[3];
    bool stdin_closed_ = false;
    bool communicated_ = false;
    bool reads_beside_ = false;  // of communicate(), one of the two is refused
};

// --- the world -----------------------------------------------------------------------------------

testing::NetworkFaults faults_of(Input& input) {
    testing::NetworkFaults faults;
    constexpr double kChances[] = {0, 0.1, 0.5, 0.9};
    faults.late_completion = kChances[input.below(3)];
    faults.late_cancel = kChances[input.below(4)];
    faults.queued_send = kChances[input.below(4)];
    faults.short_receive = kChances[input.below(4)];
    return faults;
}

template <class Starting>
void play(Input& input) {
    const std::uint64_t seed = input.number(1);
    const testing::NetworkFaults faults = faults_of(input);
    ScriptedProgram program(input);
    Starting starting(input, program);
    const auto world = [&](testing::Simulation& simulation) -> Coro<> {
        auto& host = simulation.host("host", [&]() -> Coro<> {
            get_running_loop().set_exception_handler([](EventLoop&, const ExceptionContext&) {});
            co_await starting.run();
        });
        host.on_program("program", [&](testing::ChildProgram& self) -> Coro<int> {
            const int code = co_await program.run(self);
            co_return code;
        });
        co_await host.finished();
    };
    try {
        testing::simulate(seed, world, {.faults = &faults, .most_turns = 200'000});
    } catch (const testing::SimulationFailed& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        std::abort();
    }
    starting.check_end();
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(subprocess) {
    using namespace asyncio;
    using namespace asyncio::fuzz;
    const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
    if (input.chance())
        play<WithProtocol>(input);
    else
        play<AsProcess>(input);
    set_log_sink(before);
}
