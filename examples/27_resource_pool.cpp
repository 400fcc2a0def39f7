// SPDX-License-Identifier: MIT
//
// An async context manager of one's own: a pool that lends its two connections to five workers.
// Whatever a worker does, its connection goes back.
//
//     build/dev/example_27_resource_pool
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <stdexcept>
#include <vector>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;

struct Connection {
    int number;
    Coro<int> query(int worker) {
        co_await asyncio::sleep(20ms);
        if (worker == 3) throw std::runtime_error("worker 3 asked nonsense");
        co_return worker* worker;
    }
};

class Pool {
  public:
    explicit Pool(int size) {
        for (int i = 1; i <= size; ++i) free_.put_nowait(Connection{i});
    }

    /// What `with` enters: takes a connection, and gives it back.
    class Lease {
      public:
        explicit Lease(Pool& pool) : pool_(&pool) {}
        Coro<Connection> aenter() {
            connection_ = co_await pool_->free_.get();
            co_return connection_;
        }
        Coro<bool> aexit(std::exception_ptr) {
            pool_->free_.put_nowait(connection_);
            co_return false;  // do not swallow
        }

      private:
        Pool* pool_;
        Connection connection_{0};
    };

    Lease lease() { return Lease(*this); }
    std::size_t free() const { return free_.qsize(); }

  private:
    asyncio::Queue<Connection> free_;
};

Coro<int> work(Pool& pool, int worker) {
    co_return co_await asyncio::with(pool.lease(), [&](Connection& connection) -> Coro<int> {
        std::printf("worker %d has connection %d\n", worker, connection.number);
        const int answer = co_await connection.query(worker);
        co_return answer;
    });
}

Coro<> office() {
    Pool pool(2);
    std::vector<Coro<int>> workers;
    for (int worker = 1; worker <= 5; ++worker) workers.push_back(work(pool, worker));
    const auto results = co_await asyncio::gather(asyncio::return_exceptions, std::move(workers));
    for (const auto& result : results) {
        if (result)
            std::printf("%d\n", *result);
        else
            std::printf("%s\n", asyncio::describe(result.error()).c_str());
    }
    std::printf("%zu connections are back\n", pool.free());
}

}  // namespace

int main() { asyncio::run(office()); }
