// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/exception_group.hpp>
#include <asyncio/coro/error_trace.hpp>
#include <asyncio/task/run_main.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace asyncio::task {

namespace {

constexpr int kFailed = 1;
constexpr int kInterrupted = 128 + 2;  // as if SIGINT had ended it

bool with_stacks(const RunOptions& options) {
    const char* environment = std::getenv("ASYNCIO_DEBUG");
    return options.debug.value_or(environment != nullptr && *environment != '\0');
}

void complain(const std::exception_ptr& error, std::string_view what, bool with_stack) {
    const std::string text(what);
    std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, text.c_str());
    if (!with_stack) return;
    const std::string stack = format_stack(async_stack_of(error));
    std::fputs(stack.c_str(), stderr);
}

}  // namespace

int exit_status(const std::exception_ptr& error, const RunOptions& options) {
    std::fflush(stdout);  // what the program said comes before what is said of it
    const bool stacks = with_stacks(options);
    try {
        std::rethrow_exception(error);
    } catch (const SystemExit& exit) {
        return exit.code;
    } catch (const KeyboardInterrupt&) {
        return kInterrupted;
    } catch (const CancelledError&) {
        complain(error, "cancelled", false);
    } catch (const BaseExceptionGroup& group) {
        for (const std::exception_ptr& one : group.exceptions()) exit_status(one, options);
    } catch (const std::runtime_error& failure) {
        complain(error, failure.what(), stacks);
    } catch (...) {
        complain(error, describe(error), stacks);
    }
    return kFailed;
}

}  // namespace asyncio::task
