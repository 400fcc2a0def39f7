// SPDX-License-Identifier: MIT
//
// tail -F: the lines that are added to a log, also after it was put aside and begun anew. Nothing
// is polled; the directory tells when there is something to read.
//
//     ./dev example 40 FILE     until Ctrl-C
//     ./dev example 40          a demonstration
//
// prints:
//     > started
//     > half a line, and the rest
//     > put aside
//     > begun anew
//     4 lines
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace fs = asyncio::fs;
using asyncio::Coro;

/// The lines of a file that grows, from its present end on: an async iterator.
class Tail {
  public:
    static Coro<Tail> of(std::filesystem::path path) {
        fs::Watch watch = co_await fs::watch(path.parent_path().string());
        asyncio::File file = co_await asyncio::open(path.string());
        co_await file.seek(0, asyncio::Whence::end);
        co_return Tail(std::move(path), std::move(watch), std::move(file));
    }

    Coro<std::optional<std::string>> next() {
        std::optional<std::string> line;
        while (!line) {
            const std::string more = co_await file_.readline();
            begun_ += more;
            if (begun_.ends_with('\n'))
                line = std::exchange(begun_, std::string());
            else if (more.empty())  // all that is there was read
                co_await wait_for_more();
        }
        co_return line;
    }

  private:
    Tail(std::filesystem::path path, fs::Watch watch, asyncio::File file)
        : path_(std::move(path)), watch_(std::move(watch)), file_(std::move(file)) {}

    Coro<> wait_for_more() {
        using enum fs::Change::Kind;
        const std::optional<fs::Change> change = co_await watch_.next();
        if (!change) throw std::runtime_error("the directory is gone");
        const bool begun_anew = change->kind == created || change->kind == moved_to;
        if (!begun_anew || change->name != path_.filename()) co_return;
        co_await file_.close();
        file_ = co_await asyncio::open(path_.string());
    }

    std::filesystem::path path_;
    fs::Watch watch_;
    asyncio::File file_;
    std::string begun_;  // a line whose end was not written yet
};

Coro<> append(std::string path, std::string text) {
    asyncio::File log = co_await asyncio::open(path, "a");
    co_await log.write(text);
    co_await log.close();
}

Coro<> write_log(std::string path) {
    co_await append(path, "started\nhalf a line, ");
    co_await append(path, "and the rest\nput aside\n");
    co_await fs::rename(path, path + ".1");
    co_await append(path, "begun anew\n");
}

Coro<> demonstrate(std::string& folder) {
    const std::string path = folder + "/log";
    co_await fs::write_file(path, "before we looked\n");
    Tail tail = co_await Tail::of(path);
    const auto writing = asyncio::create_task(write_log(path));
    int count = 0;
    while (auto line = co_await tail.next()) {
        std::printf("> %s", line->c_str());
        if (++count == 4) break;
    }
    co_await writing;
    std::printf("%d lines\n", count);
}

Coro<> print(std::filesystem::path path) {
    Tail tail = co_await Tail::of(std::filesystem::absolute(path));
    while (auto line = co_await tail.next()) std::printf("%s", line->c_str());
}

int main(int argc, char** argv) {
    if (argc > 1) return asyncio::run_main(print(argv[1]));
    return asyncio::run_main(asyncio::with(fs::TemporaryDirectory(), demonstrate));
}
