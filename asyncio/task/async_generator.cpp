// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/coro/stack_frame.hpp>
#include <asyncio/task/async_generator.hpp>
#include <asyncio/task/gather.hpp>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asyncio {

namespace task {

namespace {

/// Ends a generator; the awaiter and what is awaited.
class CloseAwaiter final : public GeneratorTurn {
  public:
    explicit CloseAwaiter(GeneratorPromise* promise)
        : GeneratorTurn(promise, std::make_exception_ptr(GeneratorExit()), "aclose()") {}
    CloseAwaiter(const CloseAwaiter&) = delete;

    void await_resume() {
        try {
            if (!finish()) return;
        } catch (const GeneratorExit&) {
            return;
        }
        throw std::logic_error("asynchronous generator ignored GeneratorExit");
    }
};

struct Close : coro::DriverAwaitable {
    explicit Close(GeneratorPromise* p) noexcept : promise(p) {}
    CloseAwaiter operator co_await() const { return CloseAwaiter(promise); }
    GeneratorPromise* promise;
};

/// A loop's generators that have begun and are not over.
class AsyncGenerators final : public loop::Service {
  public:
    explicit AsyncGenerators(EventLoop& loop) noexcept : Service(Stage::user_code), loop_(loop) {}

    void begun(GeneratorPromise& promise) {
        if (shut_down_)
            log(LogLevel::warning, "asynchronous generator " + name_of(promise) +
                                       " was iterated after loop.shutdown_asyncgens()");
        alive_.push_back(promise);
    }
    void loop_closed() noexcept override {
        while (!alive_.empty()) alive_.pop_front();
    }

    Coro<> shut_down() override {
        shut_down_ = true;
        std::size_t count = 0;
        alive_.for_each([&](GeneratorPromise&) { ++count; });
        closing_.splice_back(alive_);
        std::vector<Coro<>> closers;
        for (; count > 0; --count) closers.push_back(close_one());
        co_await gather(std::move(closers));
    }

  private:
    static std::string name_of(const GeneratorPromise& promise) {
        return coro::bare_function_name(promise.created().function_name());
    }

    /// The first of those that are left: the cleanup of one may drop another.
    Coro<> close_one() {
        if (closing_.empty()) co_return;
        GeneratorPromise& promise = closing_.pop_front();
        const std::string name = name_of(promise);
        try {
            co_await Close(&promise);
        } catch (...) {
            failed(name, std::current_exception());
        }
    }

    void failed(const std::string& name, const std::exception_ptr& error) {
        if (is_cancelled_error(error) || is_fatal(error)) std::rethrow_exception(error);
        ExceptionContext context;
        context.message =
            "an error occurred during closing of asynchronous generator " + name + "()";
        context.exception = error;
        loop_.call_exception_handler(context);
    }

    EventLoop& loop_;
    IntrusiveList<GeneratorPromise> alive_;
    IntrusiveList<GeneratorPromise> closing_;
    bool shut_down_ = false;
};

}  // namespace

Coro<> GeneratorHandle::close() {
    if (promise_ != nullptr && promise_->state() == GeneratorPromise::State::created)
        drop();
    else
        co_await Close(promise_);
}

/// A turn that is not simply the next: the first one, one that throws, or one too many.
bool GeneratorTurn::prepare() {
    GeneratorPromise& generator = promise();
    if (generator.state_ == GeneratorPromise::State::running) {
        frame_ = nullptr;
        throw std::logic_error(std::string(caller_) +
                               ": asynchronous generator is already running");
    }
    if (generator.state_ == GeneratorPromise::State::created) {
        if (thrown_) {
            std::exchange(frame_, nullptr)->handle().destroy();
            std::rethrow_exception(thrown_);
        }
        get_running_loop().service<AsyncGenerators>().begun(generator);
    }
    generator.error_ = std::exchange(thrown_, nullptr);
    return false;
}

void GeneratorPromise::rethrow() { std::rethrow_exception(std::exchange(error_, nullptr)); }

bool GeneratorTurn::finish_last() {
    struct Free {
        ~Free() { frame->handle().destroy(); }
        coro::PromiseBase* frame;
    } free{std::exchange(frame_, nullptr)};
    auto& generator = static_cast<GeneratorPromise&>(*free.frame);
    if (generator.state_ == GeneratorPromise::State::over && generator.error_) generator.rethrow();
    return false;
}

}  // namespace task

ASYNCIO_CORO_WRAPPER Coro<> EventLoop::shutdown_asyncgens() {
    check_usable();
    return service<task::AsyncGenerators>().shut_down();
}

}  // namespace asyncio
