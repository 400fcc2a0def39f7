// SPDX-License-Identifier: MIT
#include <asyncio/task/shield.hpp>

#include <new>

namespace asyncio::task {

namespace {

/// Reports an inner future that fails after all its shields were cancelled. One per future.
class ReportFailure final : public Runnable, public DoneWaiter {
  public:
    ReportFailure() noexcept : Runnable(&take_turn), DoneWaiter(static_cast<Runnable&>(*this)) {}
    void scheduled(FutureCore& future) noexcept override { future_ = Ref<FutureCore>(&future); }
    void abandoned() noexcept override { delete this; }

    static void add_to(FutureCore& future) noexcept {
        bool there = false;
        future.for_each_waiter([&](DoneWaiter& waiter) {
            if (dynamic_cast<ReportFailure*>(&waiter) != nullptr) there = true;
        });
        if (there) return;
        // Without memory the future reports it itself, when it goes: nobody has retrieved it.
        if (auto* const report = new (std::nothrow) ReportFailure) future.add_waiter(*report);
    }

  private:
    static void take_turn(Runnable& runnable, Turn turn) {
        const Owned<ReportFailure> self(static_cast<ReportFailure*>(&runnable));
        if (turn == Turn::run) self->report();
    }
    void report() {
        if (future_->cancelled()) return;
        const std::exception_ptr error = future_->exception();
        if (!error) return;
        ExceptionContext context;
        context.message = describe(error) + " exception in shielded future";
        context.exception = error;
        context.future = future_->description();
        future_->loop().call_exception_handler(context);
    }

    Ref<FutureCore> future_;
};

}  // namespace

ShieldCore::~ShieldCore() = default;

void ShieldCore::watch(Ref<FutureCore> inner) noexcept {
    inner_ = std::move(inner);
    inner_->add_waiter(waiter_);
}

bool ShieldCore::cancel(const std::string& message) {
    if (!FutureCore::cancel(message)) return false;
    if (waiter_.linked()) {
        waiter_.unlink();
        ReportFailure::add_to(*inner_);
    }
    return true;
}

void ShieldCore::InnerDone::take_turn(Runnable& runnable, Turn turn) {
    ShieldCore& shield = static_cast<InnerDone&>(runnable).shield;
    const Ref<ShieldCore> keep(&shield);
    (void)shield.drop_ref();  // the ready queue's
    if (turn == Turn::run) shield.inner_done();
}

void ShieldCore::inner_done() {
    if (done()) return;
    if (inner_->cancelled()) {
        set_message(inner_->message());
        complete_cancelled(inner_->cancelled_error());
    } else if (const std::exception_ptr error = inner_->exception()) {
        complete_with_error(error);
    } else {
        try {
            copy_result();
            complete_with_result();
        } catch (...) {  // the result's copy constructor
            complete_with_error(std::current_exception());
        }
    }
}

}  // namespace asyncio::task
