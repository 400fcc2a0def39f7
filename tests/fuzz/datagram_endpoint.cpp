// SPDX-License-Identifier: MIT
//
// DatagramEndpoint: several tasks that receive, send and wait for its end, each cancelled or out of
// time when the bytes say so, on a socket that has no room, fails and gives as they say. Each
// datagram that arrived while it was open is received once, and none is lost with a task that was
// cancelled; what is sent leaves whole, once and in order; each error is told once; and when it is
// closed nobody waits any more.
//
// covers: net/datagram_endpoint.hpp net/datagram_endpoint.cpp
#include <asyncio/base/log.hpp>
#include <asyncio/net/datagram_endpoint.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/wait_for.hpp>

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "fuzz.hpp"
#include "scripted_datagrams.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;

constexpr size_t kMostTasks = 8;

class Script {
  public:
    explicit Script(DatagramSystem& system) : input_(system.input), system_(system) {}

    Coro<> run() {
        const SocketAddress remote = *SocketAddress::parse("10.0.0.1", 1);
        system_.connected = input_.chance();
        const Ref<net::DatagramCore> core(new net::DatagramCore(input_.number(1) * 8));
        DatagramTransport::open(get_running_loop(), os::Fd(DatagramSystem::fd), core,
                                system_.connected ? remote : SocketAddress(), system_.connected);
        DatagramEndpoint made(core);
        DatagramEndpoint moved(std::move(made));
        made = std::move(moved);
        endpoint_.emplace(std::move(made));
        check_groups();
        while (!input_.empty()) {
            act();
            co_await sleep(Duration::zero());
        }
        close();
        co_await turn_until_all_done();
        co_await receive_rest();
        check();
    }

  private:
    void act() {
        std::erase_if(tasks_, [](const Task<void>& task) { return task.done(); });
        const size_t kind = input_.below(10);
        if (kind == 0 && !tasks_.empty()) return (void)tasks_[input_.below(tasks_.size())].cancel();
        if (kind == 1) return set_limits();
        if (kind == 2 && input_.below(8) == 1) return close();
        if (kind == 3 && input_.below(16) == 1) return abort();
        if (tasks_.size() >= kMostTasks) return;
        if (kind == 4) return start(wait_for_the_end());
        if (kind == 5) return start(receive_in_time());
        start(kind < 8 ? receive() : send(more()));
    }
    void start(Coro<> work) { tasks_.push_back(create_task(std::move(work))); }
    void close() {
        if (!endpoint_->is_closing()) given_before_close_ = system_.given;
        endpoint_->close();
    }
    void abort() {
        if (!endpoint_->is_closing()) given_before_close_ = system_.given;
        aborted_ = true;
        endpoint_->abort();
    }
    /// The system has none.
    void check_groups() const {
        for (const bool joins : {true, false}) {
            bool refused = false;
            try {
                if (joins)
                    endpoint_->join_group("224.0.0.251");
                else
                    endpoint_->leave_group("224.0.0.251");
            } catch (const std::system_error&) {
                refused = true;
            }
            FUZZ_CHECK(refused);
        }
    }
    void set_limits() {
        const size_t high = input_.number(1) * 4;
        endpoint_->transport().set_write_buffer_limits(high, high / (1 + input_.below(5)));
    }

    // --- tasks ----------------------------------------------------------------------------------

    Coro<> receive() {
        try {
            const std::pair<std::string, SocketAddress> got = co_await endpoint_->recvfrom();
            FUZZ_CHECK(got.second.port() == 9);
            FUZZ_CHECK(received_.insert(std::stoi(got.first)).second);
        } catch (const std::system_error& error) {
            is_over_ = error.code().value() == EBADF;
            if (is_over_) FUZZ_CHECK(endpoint_->is_closing());
            if (!is_over_) FUZZ_CHECK(++errors_ <= system_.failures + int{system_.fatal});
        }
    }
    Coro<> receive_in_time() {
        (void)co_await as_outcome(wait_for(receive(), std::chrono::milliseconds(1)));
    }
    Coro<> receive_rest() {
        is_over_ = false;
        while (!is_over_) co_await receive();
    }
    std::string more() { return std::to_string(numbered_++) + std::string(input_.below(100), '.'); }
    Coro<> send(std::string data) {
        const SocketAddress remote = *SocketAddress::parse("10.0.0.1", 1);
        const size_t at = written_.size();
        if (!endpoint_->is_closing()) written_.push_back(data);
        try {
            const auto bytes = std::as_bytes(std::span(data));
            if (system_.connected && at % 2 == 0)
                co_await endpoint_->sendto(data);
            else if (system_.connected)
                co_await endpoint_->sendto(bytes);
            else if (at % 2 == 0)
                co_await endpoint_->sendto(data, remote);
            else
                co_await endpoint_->sendto(bytes, remote);
        } catch (const std::system_error& error) {
            FUZZ_CHECK(error.code().value() != EBADF || written_.size() == at ||
                       endpoint_->is_closing());
        }
    }
    Coro<> wait_for_the_end() {
        co_await endpoint_->wait_closed();
        FUZZ_CHECK(!system_.open);
    }

    Coro<> turn_until_all_done() {
        constexpr int kMostTurns = 5000;
        for (int turns = 0; !is_all_done(); ++turns) {
            FUZZ_CHECK(turns < kMostTurns);
            co_await sleep(Duration::zero());
        }
    }
    bool is_all_done() const {
        for (const Task<void>& task : tasks_)
            if (!task.done()) return false;
        return !system_.open;
    }

    void check() const {
        for (int number = 0; number < given_before_close_; ++number)
            FUZZ_CHECK(received_.contains(number) || system_.failures > 0);
        size_t next = 0;
        for (const std::string& data : system_.sent) {
            while (next < written_.size() && written_[next] != data) ++next;
            FUZZ_CHECK(next++ < written_.size());
        }
        if (system_.failures == 0 && !system_.fatal && !aborted_)
            FUZZ_CHECK(system_.sent == written_);
    }

    Input& input_;
    DatagramSystem& system_;
    std::optional<DatagramEndpoint> endpoint_;
    std::vector<Task<void>> tasks_;
    std::vector<std::string> written_;
    std::set<int> received_;
    int numbered_ = 0;
    int errors_ = 0;
    int given_before_close_ = 0;
    bool aborted_ = false;
    bool is_over_ = false;
};

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(datagram_endpoint) {
    using namespace asyncio;
    using namespace asyncio::fuzz;
    const LogSink before = set_log_sink([](LogLevel, std::string_view) {});
    DatagramSystem system(input);
    const StandInSystem::Turn turn(system);
    Script script(system);
    run(script.run(), std::make_unique<DatagramKernel>(system));
    FUZZ_CHECK(!system.open);
    set_log_sink(before);
}
