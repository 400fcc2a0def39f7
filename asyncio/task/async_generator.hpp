// SPDX-License-Identifier: MIT
//
// AsyncGenerator<T>: a coroutine that yields values and may await in between.
//
//     asyncio::AsyncGenerator<int> countdown(int n) {
//         while (n) { co_await asyncio::sleep(1s); co_yield n--; }
//     }
//     auto gen = countdown(3);
//     while (auto value = co_await gen.next()) use(*value);
//
// Lazy: it runs only while somebody awaits next(), as part of that task: its frame joins the chain
// of the awaiting one, so cancelling the task, the async stack and the constant stack of any depth
// are those of a Coro. T may be move-only, or a reference (to what lives in the generator until the
// next turn; next() then gives a Reference, which dereferences to it).
//
//   created ---> running <---> suspended at a yield       next(), athrow(), aclose() begin a turn
//      |            '------> over (returned or threw)     the frame is freed at once
//      '---> over (aclose(), athrow(): the body never runs)
//
// The end. Dropping a generator destroys its frame, at once: destructors run, catch blocks do not,
// as when C++ leaves a scope. (Python hands it to the loop, which resumes it later. Here it may
// refer to locals of whoever drops it.) What must await to clean up is ended with aclose(): a
// GeneratorExit is thrown at the yield, and the generator may await on its way out:
//
//     bool stopped = false;
//     try { co_yield row; } catch (const asyncio::GeneratorExit&) { stopped = true; }
//     if (stopped) { co_await connection.close(); co_return; }
//
// Generators that are suspended when run() ends, kept by something that outlives it, are closed so
// by the loop (loop.shutdown_asyncgens()). Dropped while a turn runs, it is destroyed after the
// turn.
//
// Threads: the loop's, and that includes the drop. Each next() may come from another task of the
// loop, one at a time: std::logic_error while it runs.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/taken.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/task/awaitable.hpp>

#include <exception>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class T>
class AsyncGenerator;

/// Thrown at the yield by aclose(). Not a std::exception: it is no error.
class GeneratorExit final {
  public:
    const char* what() const noexcept { return "GeneratorExit"; }
};

/// What next() of a generator of references gives: a reference, or nothing at the end.
template <class T>
class Reference {
  public:
    Reference() noexcept = default;
    explicit Reference(T& target) noexcept : target_(&target) {}
    bool has_value() const noexcept { return target_ != nullptr; }
    explicit operator bool() const noexcept { return has_value(); }
    T& operator*() const noexcept { return *target_; }
    T* operator->() const noexcept { return target_; }

  private:
    T* target_ = nullptr;
};

namespace task {

class GeneratorHandle;

/// The front of a generator's frame, without the T.
class GeneratorPromise : public coro::PromiseBase, public IntrusiveListNode<GeneratorPromise> {
  public:
    enum class State : unsigned char { created, suspended, running, over };

    struct Yield {
        bool await_ready() const noexcept { return false; }
        template <class P>
        void await_suspend(std::coroutine_handle<P>) const noexcept {
            promise->state_ = State::suspended;
            promise->returned();
        }
        void await_resume() const {
            if (promise->error_) [[unlikely]]
                promise->rethrow();
        }
        GeneratorPromise* promise;
    };

    State state() const noexcept { return state_; }
    void return_void() noexcept { state_ = State::over; }
    void unhandled_exception() noexcept {
        error_ = escaped();
        state_ = State::over;
    }

  protected:
    explicit GeneratorPromise(std::source_location created) noexcept : PromiseBase(created) {}
    ~GeneratorPromise();

    void* target_ = nullptr;  // where the running turn wants the value; null: nowhere

  private:
    friend GeneratorHandle;
    friend class GeneratorTurn;

    [[noreturn]] void rethrow();

    GeneratorHandle* handle_ = nullptr;  // null: dropped while it ran
    std::exception_ptr error_;           // to be thrown at the yield; or what left the generator
    State state_ = State::created;
};

/// What an AsyncGenerator is without its T: the owner of a frame, which knows its owner.
class GeneratorHandle {
  public:
    GeneratorHandle(GeneratorHandle&& other) noexcept { take(other); }
    GeneratorHandle& operator=(GeneratorHandle&& other) noexcept {
        if (this != &other) {
            drop();
            take(other);
        }
        return *this;
    }
    ~GeneratorHandle() { drop(); }

    GeneratorPromise* promise() const noexcept { return promise_; }
    Coro<> close();

  protected:
    explicit GeneratorHandle(GeneratorPromise& promise) noexcept : promise_(&promise) {
        promise.handle_ = this;
    }

  private:
    friend GeneratorPromise;

    void take(GeneratorHandle& other) noexcept {
        promise_ = taken(other.promise_);
        if (promise_ != nullptr) promise_->handle_ = this;
    }
    void drop() noexcept {
        if (promise_ == nullptr) return;
        if (promise_->state() == GeneratorPromise::State::running)
            taken(promise_)->handle_ = nullptr;  // its turn frees it
        else
            promise_->handle().destroy();
    }

    GeneratorPromise* promise_ = nullptr;  // null: over, or moved from
};

inline GeneratorPromise::~GeneratorPromise() {
    if (handle_ != nullptr) handle_->promise_ = nullptr;
}

/// Runs a generator until it yields, returns or throws; what all awaiters of one share.
class GeneratorTurn {
  public:
    /// `promise` may be null: a generator that is over. `thrown`: to be thrown at the yield.
    GeneratorTurn(GeneratorPromise* promise, std::exception_ptr thrown, const char* caller) noexcept
        : frame_(promise), thrown_(std::move(thrown)), caller_(caller) {}

    bool await_ready() {
        if (frame_ == nullptr) return true;
        if (promise().state_ != GeneratorPromise::State::suspended || thrown_) [[unlikely]]
            return prepare();
        return false;
    }
    template <class P>
    void await_suspend(std::coroutine_handle<P> parent) noexcept {
        promise().state_ = GeneratorPromise::State::running;
        promise().target_ = target_;
        promise().start_for(parent.promise(), frame_);
    }

  protected:
    void deliver_to(void* target) noexcept { target_ = target; }
    /// True if it yielded. Throws what it threw. Frees it if it is over, or was dropped.
    bool finish() {
        if (frame_ == nullptr) return false;
        if (promise().state_ == GeneratorPromise::State::suspended && promise().handle_ != nullptr)
            [[likely]] {
            frame_ = nullptr;
            return true;
        }
        return finish_last();
    }

  private:
    GeneratorPromise& promise() const noexcept { return static_cast<GeneratorPromise&>(*frame_); }
    bool prepare();
    bool finish_last();

    coro::PromiseBase* frame_;
    void* target_ = nullptr;
    std::exception_ptr thrown_;
    const char* caller_;
};

template <class T>
using Yielded = std::conditional_t<std::is_reference_v<T>, Reference<std::remove_reference_t<T>>,
                                   std::optional<T>>;

template <class T>
class GeneratorPromiseOf final : public GeneratorPromise {
  public:
    GeneratorPromiseOf(std::source_location created = std::source_location::current()) noexcept
        : GeneratorPromise(created) {}

    AsyncGenerator<T> get_return_object() noexcept;

    /// The value goes straight to whoever awaits it.
    template <class U = T>
        requires(!std::is_reference_v<T> && std::is_constructible_v<T, U &&>)
    Yield yield_value(U&& value) {
        if (target_ != nullptr)
            static_cast<std::optional<T>*>(target_)->emplace(std::forward<U>(value));
        return {this};
    }
    /// A temporary lives until the generator goes on.
    Yield yield_value(T value) noexcept
        requires std::is_reference_v<T>
    {
        if (target_ != nullptr) *static_cast<Yielded<T>*>(target_) = Yielded<T>(value);
        return {this};
    }
};

template <class T>
class NextAwaiter final : public GeneratorTurn {
  public:
    NextAwaiter(GeneratorPromise* promise, std::exception_ptr thrown, const char* caller) noexcept
        : GeneratorTurn(promise, std::move(thrown), caller) {
        deliver_to(&item_);
    }
    NextAwaiter(const NextAwaiter&) = delete;

    Yielded<T> await_resume() {
        if (!finish()) item_ = {};  // dropped while it ran: its last value goes, too
        return std::move(item_);
    }

  private:
    Yielded<T> item_;
};

/// What next() and athrow() return; refers to the generator.
template <class T>
class [[nodiscard]] Next : public coro::DriverAwaitable {
  public:
    explicit Next(const GeneratorHandle& generator, std::exception_ptr thrown = nullptr) noexcept
        : generator_(&generator), thrown_(std::move(thrown)) {}

    NextAwaiter<T> operator co_await() const noexcept {
        return NextAwaiter<T>(generator_->promise(), thrown_, thrown_ ? "athrow()" : "next()");
    }

  private:
    const GeneratorHandle* generator_;
    std::exception_ptr thrown_;
};

}  // namespace task

template <class T>
class [[nodiscard]] ASYNCIO_CORO_ATTRIBUTES AsyncGenerator : public task::GeneratorHandle {
  public:
    using promise_type = task::GeneratorPromiseOf<T>;
    using value_type = T;

    /// Awaits the next value: a std::optional<T> (a Reference for a reference), empty at the end
    /// and ever after. Throws what the generator throws, which ends it. std::logic_error if
    /// another turn of it runs.
    task::Next<T> next() { return task::Next<T>(*this); }

    /// The same, but `error` is thrown at the yield it stands at (before it began: at its begin,
    /// which ends it).
    task::Next<T> athrow(std::exception_ptr error) {
        return task::Next<T>(*this, std::move(error));
    }

    /// Throw a GeneratorExit at the yield and let the generator end, awaiting if it likes. Nothing
    /// if it is over, and one that has not begun never begins. Throws what the generator throws
    /// instead; std::logic_error if it yields again or a turn of it runs.
    ASYNCIO_CORO_WRAPPER Coro<> aclose() { return close(); }

  private:
    friend promise_type;
    explicit AsyncGenerator(promise_type& promise) noexcept : GeneratorHandle(promise) {}
};

namespace task {
template <class T>
AsyncGenerator<T> GeneratorPromiseOf<T>::get_return_object() noexcept {
    return AsyncGenerator<T>(*this);
}
}  // namespace task

}  // namespace asyncio
