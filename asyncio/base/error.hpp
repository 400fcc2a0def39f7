// SPDX-License-Identifier: MIT
//
// The exceptions every room shares, with asyncio's names.
//
//   CancelledError      not a std::exception: `catch (const std::exception&)` must not swallow it
//   FatalException      KeyboardInterrupt, SystemExit: stored in the task *and* leave the loop
//   (M14) TimeoutError        a std::system_error (ETIMEDOUT), as Python's is an OSError
//   InvalidStateError   a future used in the wrong state; a std::logic_error
//
// Python's RuntimeError of misuse is std::logic_error here, ValueError std::invalid_argument,
// OSError std::system_error.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace asyncio {

/// Thrown out of the await a cancelled task is suspended in.
class CancelledError final {
  public:
    CancelledError() noexcept = default;
    explicit CancelledError(std::string message) noexcept : message_(std::move(message)) {}

    /// What was given to cancel(); empty when nothing was.
    const std::string& message() const noexcept { return message_; }
    const char* what() const noexcept {
        return message_.empty() ? "CancelledError" : message_.c_str();
    }

  private:
    std::string message_;
};

/// Base of what ends a program rather than a task. Not a std::exception.
class FatalException {
  public:
    virtual ~FatalException() = default;
    virtual const char* what() const noexcept = 0;
};

/// SIGINT reached run() and the main task gave way to it.
class KeyboardInterrupt final : public FatalException {
  public:
    const char* what() const noexcept override { return "KeyboardInterrupt"; }
};

/// Thrown by a program that wants to leave from anywhere; run() lets it through.
class SystemExit final : public FatalException {
  public:
    explicit SystemExit(int status = 0) noexcept : code(status) {}
    const char* what() const noexcept override { return "SystemExit"; }
    int code;
};

class TimeoutError final : public std::system_error {
  public:
    explicit TimeoutError(std::exception_ptr cause = nullptr)
        : std::system_error(ETIMEDOUT, std::generic_category(), "TimeoutError"),
          cause_(std::move(cause)) {}

    /// The CancelledError this timeout was made of, or null.
    const std::exception_ptr& cause() const noexcept { return cause_; }

  private:
    std::exception_ptr cause_;
};

class InvalidStateError final : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

/// The CancelledError that `error` holds, or null; no throw, no catch.
const CancelledError* cancelled_error_in(const std::exception_ptr& error) noexcept;

inline bool is_cancelled_error(const std::exception_ptr& error) noexcept {
    return cancelled_error_in(error) != nullptr;
}

/// True if `error` holds a FatalException.
bool is_fatal(const std::exception_ptr& error) noexcept;

/// One line for logs: the type's name and its what().
std::string describe(const std::exception_ptr& error);

}  // namespace asyncio
