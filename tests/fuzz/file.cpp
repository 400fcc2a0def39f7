// SPDX-License-Identifier: MIT
//
// File: a script of reads, lines, writes, seeks and truncations on a file in memory, against a
// string and a position. The system gives and takes as little as the bytes say. Modes are parsed
// as Python's are.
//
// covers: file/file.cpp file/file_core.cpp file/open_mode.cpp
#include <asyncio/file/file.hpp>
#include <asyncio/file/open_mode.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/task/with.hpp>

#include <memory>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;

/// Makes the calls at once, and cuts some of them short.
class ShortKernel final : public StillKernel {
  public:
    explicit ShortKernel(Input& input) : input_(input) {}
    bool submit(kernel::Operation& operation) noexcept override {
        if (operation.opcode == kernel::Opcode::poll) {
            operation.inline_result = static_cast<int>(operation.events);
            return false;
        }
        if (operation.opcode != kernel::Opcode::file) return StillKernel::submit(operation);
        os::FileCall call = *operation.file_call;
        const bool data =
            call.kind == os::FileCall::Kind::read || call.kind == os::FileCall::Kind::write;
        if (data && call.size > 1 && input_.below(4) == 3)
            call.size = 1 + input_.below(std::min<size_t>(call.size, 200));
        operation.inline_result = os::perform(call);
        return false;
    }
    void close(int fd) noexcept override { ::close(fd); }

  private:
    Input& input_;
};

class Script {
  public:
    Script(Input& input, bool append)
        : input_(input),
          append_(append),
          file_(File::from_fd(fd_of_new_file(append), "memory",
                              {.buffering = input.below(4) * 7, .longest_line = 150})) {}

    Coro<> run() {
        while (!input_.empty() && content_.size() < 4000) co_await step();
        const int copy = ::fcntl(file_.fileno(), F_DUPFD_CLOEXEC, 0);
        co_await finish();
        std::string seen(content_.size() + 1, '\0');
        const ssize_t size = ::pread(copy, seen.data(), seen.size(), 0);
        ::close(copy);
        FUZZ_CHECK(size == static_cast<ssize_t>(content_.size()));
        FUZZ_CHECK(std::string_view(seen).substr(0, content_.size()) == content_);
    }

  private:
    static int fd_of_new_file(bool append) {
        const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
        if (append) ::fcntl(fd, F_SETFL, O_APPEND);
        return fd;
    }

    Coro<> step() {
        switch (input_.below(11)) {
            case 0:
            case 1: {
                const std::string data(input_.text(input_.below(60)));
                const size_t count = co_await file_.write(data);
                FUZZ_CHECK(count == data.size());
                put(data);
                break;
            }
            case 2: {
                const size_t size = input_.below(100);
                const std::string data = co_await file_.read(size);
                FUZZ_CHECK(data == take(size));
                break;
            }
            case 3: {
                const std::string data = co_await file_.read();
                FUZZ_CHECK(data == take(content_.size()));
                break;
            }
            case 4: {
                std::vector<std::byte> memory(input_.below(50));
                const size_t count = co_await file_.read_into(memory);
                const std::string_view data(reinterpret_cast<char*>(memory.data()), count);
                FUZZ_CHECK(data == take(memory.size()));
                break;
            }
            case 5:
                co_await read_line();
                break;
            case 6:
                co_await seek();
                break;
            case 7: {
                const std::int64_t place = co_await file_.tell();
                // Python, too, does not know where an append goes before it is done.
                FUZZ_CHECK(append_ || place == position_);
                break;
            }
            case 8:
                co_await at_a_place();
                break;
            case 9: {
                const auto size = static_cast<std::int64_t>(input_.below(200));
                const std::int64_t result = co_await file_.truncate(size);
                FUZZ_CHECK(result == size);
                content_.resize(static_cast<size_t>(size));
                break;
            }
            default:
                co_await make_sure();
        }
    }
    Coro<> make_sure() {
        switch (input_.below(3)) {
            case 0:
                co_await file_.flush();
                break;
            case 1:
                co_await file_.fsync(input_.chance());
                break;
            default: {
                std::string owned(input_.text(input_.below(60)));
                put(owned);
                const size_t size = owned.size();
                const size_t count = co_await file_.write(std::move(owned));
                FUZZ_CHECK(count == size);
            }
        }
        FUZZ_CHECK(file_.name() == "memory" && file_.seekable() && !file_.closed());
    }
    /// By close(), by with(), or by nobody: then the destructor writes what is kept.
    Coro<> finish() {
        const auto nothing = []() -> Coro<> { co_return; };
        switch (content_.size() % 3) {
            case 0:
                co_await file_.close();
                break;
            case 1:
                co_await with(std::move(file_), nothing);
                break;
            default:
                file_ = File();
        }
    }
    Coro<> read_line() {
        const std::string rest = content_.substr(std::min(place(), content_.size()));
        const size_t end = rest.find('\n');
        const size_t length = end == std::string::npos ? rest.size() : end + 1;
        try {
            if (input_.chance()) {
                const std::string line = co_await file_.readline();
                FUZZ_CHECK(line == take(length));
            } else {
                const auto line = co_await file_.lines().next();
                FUZZ_CHECK(line.value_or("") == take(length) && line.has_value() == (length > 0));
            }
        } catch (const std::invalid_argument&) {
            FUZZ_CHECK(length > 150);
        }
    }
    Coro<> seek() {
        const auto offset = static_cast<std::int64_t>(input_.below(250)) - 50;
        const auto whence = static_cast<Whence>(input_.below(3));
        std::int64_t wanted = offset;
        if (whence == Whence::current) wanted += position_;
        if (whence == Whence::end) wanted += static_cast<std::int64_t>(content_.size());
        try {
            const std::int64_t result = co_await file_.seek(offset, whence);
            FUZZ_CHECK(wanted >= 0 && result == wanted);
            position_ = wanted;
        } catch (const std::system_error&) {
            FUZZ_CHECK(wanted < 0);
        }
    }
    Coro<> at_a_place() {
        const auto offset = static_cast<std::int64_t>(input_.below(200));
        const auto at = static_cast<size_t>(offset);
        if (input_.chance() || append_) {
            const size_t size = input_.below(100);
            const std::string data = co_await file_.pread(size, offset);
            FUZZ_CHECK(data == (at < content_.size() ? content_.substr(at, size) : ""));
            co_return;
        }
        const std::string data(input_.text(input_.below(30)));
        co_await file_.pwrite(data, offset);
        if (!data.empty()) overwrite(at, data);
    }

    size_t place() const { return static_cast<size_t>(position_); }
    std::string take(size_t size) {
        if (place() >= content_.size()) return {};
        std::string data = content_.substr(place(), size);
        position_ += static_cast<std::int64_t>(data.size());
        return data;
    }
    void put(const std::string& data) {
        if (data.empty()) return;
        if (append_) {
            content_ += data;
            position_ = static_cast<std::int64_t>(content_.size());
            return;
        }
        overwrite(place(), data);
        position_ += static_cast<std::int64_t>(data.size());
    }
    void overwrite(size_t at, const std::string& data) {
        if (content_.size() < at + data.size()) content_.resize(at + data.size());
        content_.replace(at, data.size(), data);
    }

    Input& input_;
    const bool append_;
    File file_;
    std::string content_;
    std::int64_t position_ = 0;
};

Coro<> play(Input& input, bool append) {
    Script script(input, append);
    co_await script.run();
}

/// A pipe has no place to seek to, and is read as it was written.
Coro<> through_a_pipe(Input& input) {
    int ends[2];
    FUZZ_CHECK(::pipe2(ends, O_CLOEXEC | (input.chance() ? O_NONBLOCK : 0)) == 0);
    const File reading = File::from_fd(ends[0], "read", {.longest_line = 1000});
    const File writing = File::from_fd(ends[1], "write", {.buffering = input.below(4) * 7});
    std::string kept;
    while (!input.empty() && kept.size() < 3000) {
        const std::string data(input.text(1 + input.below(60)));
        const size_t count = co_await writing.write(data);
        FUZZ_CHECK(count == data.size());
        co_await writing.flush();
        kept += data;
        if (kept.empty() || input.chance()) continue;
        const size_t size = std::min(kept.size(), 1 + input.below(50));  // it would wait for more
        const std::string seen = co_await reading.read(size);
        FUZZ_CHECK(seen == kept.substr(0, size));
        kept.erase(0, size);
    }
    FUZZ_CHECK(!reading.seekable() && reading.readable() && writing.writable());
    co_await writing.close();
    const std::string rest = co_await reading.read();
    FUZZ_CHECK(rest == kept);
    co_await reading.close();
}

void check_mode(std::string_view mode) {
    const auto count = [&](std::string_view letters) {
        return std::count_if(mode.begin(), mode.end(),
                             [&](char c) { return letters.find(c) != std::string_view::npos; });
    };
    bool good = count("rwax") == 1 && count("tb") <= 1 && count("+") <= 1 &&
                count("rwaxtb+") == static_cast<std::ptrdiff_t>(mode.size());
    try {
        const int flags = file::open_flags(mode);
        FUZZ_CHECK(good);
        const int direction = flags & O_ACCMODE;
        FUZZ_CHECK((direction == O_RDWR) == (count("+") == 1));
        FUZZ_CHECK((flags & O_APPEND) != 0 ? count("a") == 1 : count("a") == 0);
        FUZZ_CHECK((flags & O_EXCL) != 0 ? count("x") == 1 : count("x") == 0);
        FUZZ_CHECK((flags & O_TRUNC) != 0 ? count("w") == 1 : count("w") == 0);
    } catch (const std::invalid_argument&) {
        FUZZ_CHECK(!good);
    }
}

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(file) {
    using namespace asyncio::fuzz;
    const std::size_t first = input.byte();
    if (first >= 250) return run(through_a_pipe(input), std::make_unique<ShortKernel>(input));
    const std::size_t kind = first % 6;
    if (kind == 5) return check_mode(input.rest());
    run(play(input, kind == 4), std::make_unique<ShortKernel>(input));
}
