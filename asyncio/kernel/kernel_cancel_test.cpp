// SPDX-License-Identifier: MIT
//
// Cancel against completion, many thousand times a kind, in random order within one thread: what
// the system says first is what the operation must be told, and nothing may be lost or leak either
// way. ASYNCIO_STORM_ROUNDS changes how many (slow builds).
#include <asyncio/kernel/kernel_fixture_test.hpp>

#include <memory>
#include <random>

namespace asyncio::kernel::testing {
namespace {

int storm_rounds() {
    const char* text = std::getenv("ASYNCIO_STORM_ROUNDS");
    return text == nullptr ? 20'000 : std::max(2'000, std::atoi(text));
}

class KernelCancel : public KernelFixture {
  protected:
    bool coin() { return (random_() & 1) != 0; }

    /// Both outcomes must have been met often, or the storm proved nothing.
    void expect_both_met() const {
        const int often = std::min(500, storm_rounds() / 20);
        RecordProperty("figure", std::to_string(storm_rounds()) + " rounds, " +
                                     std::to_string(operation_won) + " completed, " +
                                     std::to_string(cancel_won) + " cancelled, 0 lost (limit " +
                                     std::to_string(often) + " of each, 0)");
        EXPECT_GE(operation_won, often);
        EXPECT_GE(cancel_won, often);
    }
    void settle(TestOperation& operation) {
        ASSERT_TRUE(pump(*kernel, [&] { return operation.ended(); }));
    }

    int operation_won = 0;
    int cancel_won = 0;

  private:
    std::minstd_rand random_{20260101};
};
INSTANTIATE_TEST_SUITE_P(Variants, KernelCancel, variants(), name_of);

TEST_P(KernelCancel, A1_A2_storm_on_accept) {
    SocketAddress address = abstract("storm");
    const Fd listening = listener(address);
    for (int i = 0; i < storm_rounds(); i++) {
        TestOperation accept(Opcode::accept, listening.get());
        ASSERT_TRUE(kernel->submit(accept));
        if (coin()) poll_now(*kernel, 1);
        const Fd client(os::stream_socket(AF_UNIX));
        const bool connect_first = coin();
        if (connect_first) {
            ASSERT_EQ(os::connect(client.get(), address), 0);
        }
        if (connect_first && coin()) poll_now(*kernel, 1);
        kernel->cancel(accept);
        if (!connect_first) {
            ASSERT_EQ(os::connect(client.get(), address), 0);
        }
        settle(accept);
        ASSERT_LE(accept.results.size(), 2u);
        ASSERT_EQ(accept.last(), -ECANCELED);
        if (accept.results.size() == 2) {
            operation_won++;
            kernel->close(accept.results[0]);
        } else {
            cancel_won++;
            const Fd left(os::try_accept(listening.get()));
            ASSERT_TRUE(left);
        }
    }
    expect_both_met();
}

TEST_P(KernelCancel, A3_A7_storm_on_receive_loses_no_byte) {
    const Pair pair = unix_pair();
    std::uint32_t written = 0;
    std::uint32_t read = 0;
    const auto write_next = [&] {
        ASSERT_TRUE(write_all(pair.b.get(), {reinterpret_cast<const char*>(&written), 4}));
        written++;
    };
    for (int i = 0; i < storm_rounds(); i++) {
        TestOperation receive(Opcode::receive, pair.a.get());
        ASSERT_TRUE(kernel->submit(receive));
        if (coin()) poll_now(*kernel, 1);
        const bool write_first = coin();
        if (write_first) write_next();
        if (write_first && coin()) poll_now(*kernel, 1);
        kernel->cancel(receive);
        if (!write_first) write_next();
        settle(receive);
        (receive.data.empty() ? cancel_won : operation_won)++;
        for (std::size_t at = 0; at < receive.data.size(); at += 4) {
            std::uint32_t number;
            std::memcpy(&number, receive.data.data() + at, 4);
            ASSERT_EQ(number, read++);
        }
    }
    TestOperation rest(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(rest));
    EXPECT_TRUE(pump(*kernel, [&] { return read + rest.data.size() / 4 == written; }));
    kernel->reclaim(rest);
    expect_both_met();
}

TEST_P(KernelCancel, A4_storm_on_send_counts_every_byte) {
    const Pair pair = unix_pair();
    os::set_option(pair.a.get(), os::SocketOption::send_buffer, 4608);
    const std::string filler(2'000, 'f');
    std::size_t sent = 0;
    std::size_t received = 0;
    std::string sink(1 << 16, 0);
    const auto drain = [&] {
        for (ssize_t n; (n = ::recv(pair.b.get(), sink.data(), sink.size(), 0)) > 0;)
            received += static_cast<std::size_t>(n);
    };
    for (int i = 0; i < storm_rounds(); i++) {
        for (ssize_t n; (n = ::send(pair.a.get(), filler.data(), filler.size(), 0)) > 0;)
            sent += static_cast<std::size_t>(n);
        auto memory = std::make_unique<char[]>(10);  // ours until the completion
        TestOperation send(Opcode::send, pair.a.get());
        send.set_buffer(memory.get(), 10);
        ASSERT_TRUE(kernel->submit(send));
        if (coin()) poll_now(*kernel, 1);
        const bool drain_first = coin();
        if (drain_first) drain();
        if (drain_first && coin()) poll_now(*kernel, 1);
        kernel->cancel(send);
        if (!drain_first && coin()) poll_now(*kernel, 1);
        if (!drain_first) drain();
        settle(send);
        (send.last() > 0 ? operation_won : cancel_won)++;
        if (send.last() > 0)
            sent += static_cast<std::size_t>(send.last());
        else {
            ASSERT_EQ(send.last(), -ECANCELED);
        }
    }
    drain();
    EXPECT_EQ(sent, received);
    expect_both_met();
}

TEST_P(KernelCancel, A1_D11_storm_on_connect) {
    SocketAddress open_address = loopback();
    const Fd open_listener = listener(open_address);
    SocketAddress full_address = loopback();
    const Fd full_listener = listener(full_address, 0);  // answers nobody once its queue is full
    const Fd occupant(os::stream_socket(AF_INET));
    os::connect(occupant.get(), full_address);
    for (int i = 0; i < storm_rounds(); i++) {
        const bool answered = coin();
        const SocketAddress& address = answered ? open_address : full_address;
        Fd client(os::stream_socket(AF_INET));
        os::set_option(client.get(), os::SocketOption::linger_reset, 1);  // no TIME_WAIT
        TestOperation connect(Opcode::connect, client.get());
        connect.set_address(address);
        int result = 0;
        if (kernel->submit(connect)) {
            if (coin()) poll_now(*kernel, 1);
            kernel->cancel(connect);
            settle(connect);
            result = connect.last();
        } else {
            result = connect.inline_result;
        }
        ASSERT_TRUE(result == 0 || result == -ECANCELED) << result;
        (result == 0 ? operation_won : cancel_won)++;
        kernel->close(client.release());
        if (answered) Fd(os::try_accept(open_listener.get())).reset();
    }
    expect_both_met();
}

TEST_P(KernelCancel, A6_storm_of_reclaims_leaves_strangers_alone) {
    // A slot changes hands every round, while completions for its former owners are on the way.
    std::vector<Pair> pairs;
    std::vector<std::unique_ptr<TestOperation>> operations;
    for (int i = 0; i < 16; i++) {
        pairs.push_back(unix_pair());
        operations.push_back(std::make_unique<TestOperation>(Opcode::poll, pairs[i].a.get()));
        operations[i]->events = POLLIN;
    }
    for (int i = 0; i < storm_rounds(); i++) {
        TestOperation& operation = *operations[i % 16];
        const Pair& pair = pairs[i * 7 % 16];
        if (operation.idle()) {
            operation.reset();
            if (!kernel->submit(operation)) continue;
        } else if (coin()) {
            kernel->reclaim(operation);
        }
        char byte = 'x';
        if (coin()) {
            EXPECT_EQ(::send(pair.b.get(), &byte, 1, MSG_NOSIGNAL), 1);
        } else if (::recv(pair.a.get(), &byte, 1, MSG_DONTWAIT) < 0) {
            EXPECT_EQ(errno, EAGAIN);
        }
        if (coin()) poll_now(*kernel, 1);
        if (operation.ended()) {
            EXPECT_EQ(operation.last(), POLLIN);
        }
    }
    for (const auto& operation : operations) kernel->reclaim(*operation);
}

TEST_P(KernelCancel, A19_a_cancel_reaches_only_its_own_operation) {
    const Pair pair = unix_pair();
    for (int i = 0; i < 1'000; i++) {
        TestOperation first(Opcode::receive, pair.a.get());
        ASSERT_TRUE(kernel->submit(first));
        if (coin()) {
            ASSERT_TRUE(write_all(pair.b.get(), "x"));
        }
        poll_now(*kernel, 1);
        kernel->cancel(first);
        if (coin())
            kernel->reclaim(first);
        else
            settle(first);
        TestOperation second(Opcode::receive, pair.a.get());  // most likely in the same slot
        ASSERT_TRUE(kernel->submit(second));
        poll_now(*kernel, 2);
        ASSERT_FALSE(second.ended());
        ASSERT_TRUE(write_all(pair.b.get(), "y"));
        ASSERT_TRUE(pump(*kernel, [&] { return !second.data.empty(); }));
        ASSERT_EQ(second.data.back(), 'y');
        kernel->reclaim(second);
    }
}

TEST_P(KernelCancel, A7_starved_receives_go_on_and_nobody_notices) {
    // More connections, with more data, than there are buffers.
    const int count = GetParam().options.buffers < 16 ? 40 : 400;
    constexpr std::size_t size = 100'000;
    std::vector<Pair> pairs;
    std::vector<std::unique_ptr<TestOperation>> operations;
    std::vector<std::size_t> received(static_cast<std::size_t>(count));
    std::string block(size, 0);
    for (std::size_t i = 0; i < size; i++) block[i] = static_cast<char>(i % 251);
    for (int i = 0; i < count; i++) {
        pairs.push_back(unix_pair());
        operations.push_back(std::make_unique<TestOperation>(Opcode::receive, pairs[i].a.get()));
        operations[i]->then = [&, i](const Completion& completion) {
            ASSERT_GT(completion.result, 0);
            const std::size_t at = received[i];
            received[i] += completion.data.size();
            ASSERT_LE(received[i], size);
            EXPECT_EQ(
                std::memcmp(completion.data.data(), block.data() + at, completion.data.size()), 0);
            operations[i]->data.clear();
        };
        ASSERT_TRUE(kernel->submit(*operations[i]));
    }
    std::vector<std::size_t> written(static_cast<std::size_t>(count));
    std::size_t total = 0;
    const auto write_some = [&] {
        for (int i = 0; i < count; i++) {
            const ssize_t n = ::send(pairs[i].b.get(), block.data() + written[i], size - written[i],
                                     MSG_NOSIGNAL);
            if (n > 0) written[i] += static_cast<std::size_t>(n);
        }
    };
    ASSERT_TRUE(pump(*kernel, [&] {
        write_some();
        total = 0;
        for (const std::size_t n : received) total += n;
        return total == static_cast<std::size_t>(count) * size;
    }));
    for (const auto& operation : operations) kernel->reclaim(*operation);
}

}  // namespace
}  // namespace asyncio::kernel::testing
