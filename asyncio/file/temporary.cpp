// SPDX-License-Identifier: MIT
#include <asyncio/file/call.hpp>
#include <asyncio/file/directory.hpp>
#include <asyncio/file/temporary.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/shield.hpp>

#include <cerrno>
#include <cstdlib>
#include <random>
#include <utility>

#include <fcntl.h>

namespace asyncio::fs {

namespace {

using os::FileCall;

/// Names that are taken are tried again this often; with 64 random bits it does not happen.
constexpr int kAttempts = 100;
constexpr unsigned kOnlyUs = 0600;

std::uint64_t random_bits() {
    static thread_local std::random_device device;
    if (os::simulated_system != nullptr) return os::simulated_system->random_bits();
    return device();
}

std::string random_name() {
    static constexpr char kDigits[] = "abcdefghijklmnopqrstuvwxyz234567";
    std::string name;
    for (int word = 0; word < 2; ++word) {
        std::uint64_t bits = random_bits();
        for (int i = 0; i < 7; ++i, bits >>= 5) name += kDigits[bits & 31];
    }
    return name;
}

std::string temporary_directory(std::string_view wanted) {
    if (!wanted.empty()) return file::checked_path(wanted);
    const char* from_environment = std::getenv("TMPDIR");
    return from_environment != nullptr && *from_environment != '\0' ? from_environment : "/tmp";
}

/// Where and how the name begins.
std::string beginning(const TemporaryOptions& options) {
    return temporary_directory(options.directory) + "/" + file::checked_path(options.prefix);
}

Coro<std::string> make_directory(std::string start, std::string suffix) {
    int result = -EEXIST;
    std::string path;
    for (int attempt = 0; result == -EEXIST && attempt < kAttempts; ++attempt) {
        path = start + random_name() + suffix;
        const FileCall call{.kind = FileCall::Kind::mkdir, .mode = 0700, .path = path.c_str()};
        result = co_await file::Call(call, file::Cancellation::comes_later);
    }
    file::check(result, "mkdir", path);
    co_return path;
}

Coro<NamedFile> make_named(std::string start, std::string suffix) {
    TemporaryName name(start, suffix);
    File made = co_await open(name.name(), O_RDWR | O_CREAT | O_EXCL, {.permissions = kOnlyUs});
    co_return NamedFile(std::move(made), std::move(name));
}

Coro<File> make_unnamed(std::string directory, std::string start) {
    const FileCall call{.kind = FileCall::Kind::open,
                        .flags = O_RDWR | O_TMPFILE,
                        .mode = kOnlyUs,
                        .path = directory.c_str()};
    const int result = co_await file::Call(call);
    if (os::Fd made(result); made) {
        const std::string name = directory + "/(temporary)";
        co_return File::from_fd(made.release(), name);
    }
    if (result != -EOPNOTSUPP && result != -EISDIR && result != -EINVAL)
        file::check(result, "open a temporary file in", directory);
    // A file system without O_TMPFILE: a name that is gone at once.
    const TemporaryName name(start);
    File made = co_await open(name.name(), O_RDWR | O_CREAT | O_EXCL, {.permissions = kOnlyUs});
    co_return made;
}

}  // namespace

TemporaryName::TemporaryName(std::string_view path, std::string_view suffix)
    : name_(std::string(path) + random_name() + std::string(suffix)) {}

TemporaryName::TemporaryName(TemporaryName&& other) noexcept
    : name_(std::exchange(other.name_, {})) {}

TemporaryName& TemporaryName::operator=(TemporaryName&& other) noexcept {
    std::swap(name_, other.name_);
    return *this;
}

void TemporaryName::remove() noexcept {
    if (!name_.empty()) os::remove_file(name_.c_str());
}

ASYNCIO_CORO_WRAPPER Coro<File> temporary_file(TemporaryOptions options) {
    return make_unnamed(temporary_directory(options.directory), beginning(options));
}

ASYNCIO_CORO_WRAPPER Coro<NamedFile> named_temporary_file(TemporaryOptions options) {
    return make_named(beginning(options), file::checked_path(options.suffix));
}

ASYNCIO_CORO_WRAPPER Coro<std::string> mkdtemp(TemporaryOptions options) {
    return make_directory(beginning(options), file::checked_path(options.suffix));
}

TemporaryDirectory::TemporaryDirectory(TemporaryOptions options)
    : path_(beginning(options)), suffix_(file::checked_path(options.suffix)) {}

Coro<std::string> TemporaryDirectory::aenter() {
    path_ = co_await make_directory(path_, suffix_);
    co_return path_;
}

/// Whoever is cancelled here goes on when nothing is left, and is cancelled then.
Coro<bool> TemporaryDirectory::aexit(std::exception_ptr) {
    const Task<> removing = create_task(rmtree(path_));
    std::exception_ptr cancelled;
    while (!removing.done()) {
        const Outcome<void> waited = co_await as_outcome(shield(removing));
        // Also between the end of the task and ours. Cancelled itself, it says so below.
        if (waited.cancelled() && !removing.cancelled()) cancelled = waited.error();
    }
    removing.result();
    if (cancelled) std::rethrow_exception(cancelled);
    co_return false;
}

}  // namespace asyncio::fs
