// SPDX-License-Identifier: MIT
#include <asyncio/os/cpu.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/thread/start_thread.hpp>
#include <asyncio/thread/thread_pool_executor.hpp>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace asyncio {

/// Queue and threads. `idle_` threads wait for jobs; those woken count as idle until they look, so
/// a new thread is needed as soon as more jobs wait than threads are idle.
class ThreadPoolExecutor::Crew : public AtomicRefCounted {
  public:
    Crew(std::size_t max_workers, std::string_view name)
        : max_workers_(max_workers),
          name_(name),
          finished_(Shared<thread::ConcurrentState<void>>::make()) {
        if (max_workers == 0) throw std::invalid_argument("max_workers must be greater than 0");
        (void)finished_->start();  // from now on nobody can cancel it
    }

    void put(UniqueFunction<void()> job) {
        {
            const std::lock_guard lock(mutex_);
            if (closed_) throw std::logic_error("cannot schedule new futures after shutdown");
            jobs_.push_back(std::move(job));
            if (jobs_.size() > idle_ && threads_.size() < max_workers_) {
                add_thread();
                return;
            }
        }
        available_.notify_one();
    }

    void close(bool drop) {
        // Dropped after the lock: futures of users. Made when needed: an empty deque allocates.
        std::optional<std::deque<UniqueFunction<void()>>> dropped;
        if (drop) dropped.emplace();
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
            if (dropped) dropped->swap(jobs_);
            dropped_ = dropped_ || drop;
        }
        available_.notify_all();
        dropped.reset();
        finish_if_over();
    }

    /// The threads go their own way.
    void detach() {
        for (std::thread& thread : take_threads()) thread.detach();
    }
    void join() {
        for (std::thread& thread : take_threads()) thread.join();
        finished_->wait();  // for those that were detached
    }

    /// A job of a simulated host, from here to its end.
    class AtWork {
      public:
        explicit AtWork(Ref<Crew> crew) noexcept : crew_(std::move(crew)) {}
        AtWork(AtWork&&) noexcept = default;
        AtWork& operator=(AtWork&&) = delete;
        ~AtWork() {
            if (crew_) crew_->count_out();
        }
        void run(UniqueFunction<void()>& job) {
            if (!crew_->dropped()) job();
        }

      private:
        Ref<Crew> crew_;
    };
    AtWork count_in() {
        const std::lock_guard lock(mutex_);
        ++living_;
        return AtWork(Ref<Crew>(this));
    }

    void destroy() const noexcept { delete this; }

    bool closed() const {
        const std::lock_guard lock(mutex_);
        return closed_;
    }

    std::size_t max_workers() const noexcept { return max_workers_; }
    std::size_t workers() const {
        const std::lock_guard lock(mutex_);
        return started_;
    }
    const Shared<thread::ConcurrentState<void>>& finished() const { return finished_; }

  private:
    std::vector<std::thread> take_threads() {
        const std::lock_guard lock(mutex_);
        return std::exchange(threads_, {});
    }

    /// Under the lock. With threads at work already, the job waits for one of them if need be.
    void add_thread() {
        try {
            thread::start_thread(
                threads_, [crew = Ref<Crew>(this), number = started_] { crew->work(number); });
            ++started_;
            ++living_;
        } catch (...) {
            if (living_ > 0) return;
            jobs_.pop_back();
            throw;
        }
    }

    void work(std::size_t number) {
        os::name_this_thread(name_ + "_" + std::to_string(number));
        while (UniqueFunction<void()> job = next()) job();
        {
            const std::lock_guard lock(mutex_);
            --living_;
        }
        finish_if_over();
    }

    /// Blocks. Empty when closed and nothing is left.
    UniqueFunction<void()> next() {
        std::unique_lock lock(mutex_);
        ++idle_;
        available_.wait(lock, [this] { return closed_ || !jobs_.empty(); });
        --idle_;
        if (jobs_.empty()) return nullptr;
        UniqueFunction<void()> job = std::move(jobs_.front());
        jobs_.pop_front();
        return job;
    }

    void count_out() {
        {
            const std::lock_guard lock(mutex_);
            --living_;
        }
        finish_if_over();
    }
    bool dropped() const {
        const std::lock_guard lock(mutex_);
        return dropped_;
    }

    void finish_if_over() {
        {
            const std::lock_guard lock(mutex_);
            if (!closed_ || living_ > 0) return;
        }
        finished_->complete(thread::ConcurrentCore::State::result);  // the second of two is ignored
    }

    const std::size_t max_workers_;
    const std::string name_;
    const Shared<thread::ConcurrentState<void>> finished_;

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable available_;
    std::deque<UniqueFunction<void()>> jobs_;
    std::vector<std::thread> threads_;
    std::size_t started_ = 0;
    std::size_t living_ = 0;
    std::size_t idle_ = 0;
    bool closed_ = false;
    bool dropped_ = false;  // with what was waiting
};

std::size_t ThreadPoolExecutor::default_max_workers() noexcept {
    return static_cast<std::size_t>(std::min(32, os::usable_cores() + 4));
}

ThreadPoolExecutor::ThreadPoolExecutor(std::size_t max_workers, std::string_view name)
    : crew_(new Crew(max_workers, name)) {}

ThreadPoolExecutor::~ThreadPoolExecutor() {
    if (!crew_->closed()) shutdown();
}

void ThreadPoolExecutor::execute(UniqueFunction<void()> job) {
    if (os::simulated_system == nullptr) [[likely]]
        return crew_->put(std::move(job));
    if (crew_->closed()) throw std::logic_error("cannot schedule new futures after shutdown");
    // A simulated host has no threads: what they did would come at a time of its own.
    os::simulated_system->run_later(
        [at_work = crew_->count_in(), job = std::move(job)]() mutable { at_work.run(job); });
}

void ThreadPoolExecutor::shutdown(bool wait, bool cancel_futures) {
    crew_->close(cancel_futures);
    if (wait && os::simulated_system != nullptr) os::simulated_system->run_jobs();
    if (wait)
        crew_->join();
    else
        crew_->detach();
}

ConcurrentFuture<> ThreadPoolExecutor::finished() const {
    return ConcurrentFuture<>(crew_->finished());
}

std::size_t ThreadPoolExecutor::max_workers() const noexcept { return crew_->max_workers(); }

std::size_t ThreadPoolExecutor::workers() const { return crew_->workers(); }

}  // namespace asyncio
