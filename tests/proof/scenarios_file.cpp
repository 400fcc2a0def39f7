// SPDX-License-Identifier: MIT
//
// Scenarios of files, directories, watches and standard streams.
#include <cstdlib>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "scenarios.hpp"

namespace asyncio::proof {
namespace {

using namespace std::chrono_literals;

Coro<> files() {
    const std::string path = path_of("file");
    File file = co_await open(path, "w+");
    co_await file.write("one\ntwo\nthree\n");
    co_await file.seek(0);
    const std::string line = co_await file.readline();
    expect(line == "one\n", "the line was written");
    int count = 0;
    auto lines = file.lines();
    while (auto next = co_await lines.next()) ++count;
    expect(count == 2, "two lines are left");
    co_await file.pwrite("ONE", 0);
    const std::string start = co_await file.pread(3, 0);
    expect(start == "ONE", "pwrite writes");
    co_await file.truncate(4);
    co_await file.fsync();
    co_await file.close();
    const std::string all = co_await fs::read_file(path);
    expect(all == "ONE\n", "all is in the file");
    co_await fs::remove(path);
}

Coro<> with_a_file() {
    const std::string path = path_of("with");
    co_await with(open(path, "w"),
                  [&](File& file) -> Coro<> { co_await file.write(std::string(200'000, 'w')); });
    const auto size = co_await fs::getsize(path);
    expect(size == 200'000, "with() closes the file");
}

Coro<> file_system() {
    const std::string top = path_of("tree");
    co_await fs::makedirs(top + "/a/b");
    co_await fs::write_file(top + "/a/x", "x");
    co_await fs::rename(top + "/a/x", top + "/a/y");
    co_await fs::link(top + "/a/y", top + "/a/z");
    co_await fs::symlink("y", top + "/a/s");
    const std::string target = co_await fs::readlink(top + "/a/s");
    expect(target == "y", "the link says its target");
    co_await fs::chmod(top + "/a/y", 0600);
    const fs::FileStatus status = co_await fs::stat(top + "/a/s");
    expect(status.size == 1 && status.permissions() == 0600, "stat tells");
    const bool there = co_await fs::exists(top + "/a/nothing");
    expect(!there, "exists tells");
    (void)co_await fs::realpath(top + "/a/b/..");
    const auto names = co_await fs::listdir(top + "/a");
    expect(names.size() == 4, "listdir lists");
    std::size_t steps = 0;
    auto walk = fs::walk(top);
    while (co_await walk.next() != nullptr) ++steps;
    if (steps == 3) co_await fs::remove(top + "/a/s");  // it leaves out what cannot be read
}

Coro<> write_atomic() {
    const std::string path = path_of("atomic");
    const auto first = co_await as_outcome(fs::write_atomic(path, "first"));
    const auto second = co_await as_outcome(fs::write_atomic(path, "second, longer"));
    const auto names = co_await fs::listdir(scenario_directory());
    const std::string text = co_await fs::read_file(path);
    expect(text == "first" || text == "second, longer", "it is one or the other");
    if (!second) std::rethrow_exception(second.error());
    if (!first) std::rethrow_exception(first.error());
    expect(text == "second, longer", "the second has replaced the first");
}

Coro<> copy() {
    const std::string from = path_of("from");
    const std::string contents(50'000, 'c');
    co_await fs::write_file(from, contents);
    const std::uint64_t copied = co_await fs::copy(from, path_of("to"));
    expect(copied == 50'000, "all is copied");
    co_await fs::write_file(path_of("small"), "small");
    std::vector<Coro<std::string>> readers;  // together, as a backend may read them
    for (const char* name : {"from", "to", "small"})
        readers.push_back(fs::read_file(path_of(name)));
    const auto texts = co_await gather(std::move(readers));
    expect(texts[0] == contents && texts[1] == contents, "the copy is the same");
    expect(texts[2] == "small", "a small file is read");
}

Coro<> watch() {
    const std::string path = path_of("watched");
    const auto made = co_await as_outcome(fs::mkdir(path));
    if (!made) std::rethrow_exception(made.error());
    fs::Watch watch = co_await fs::watch(path);
    co_await fs::write_file(path + "/new", "x");
    bool created = false;
    while (!created) {
        const auto change = co_await watch.next();
        expect(change.has_value(), "the watch goes on");
        created = change->kind == fs::Change::Kind::created && change->name == "new";
    }
    watch.close();
    const auto last = co_await watch.next();
    expect(!last, "a closed watch has no more");
}

Coro<> temporary() {
    File nameless = co_await fs::temporary_file({.directory = scenario_directory()});
    co_await nameless.write("kept nowhere");
    co_await nameless.close();
    {
        auto named = co_await fs::named_temporary_file({.directory = scenario_directory()});
        co_await named.write("for a while");
        co_await named.close();
    }
    std::string path;
    co_await with(fs::TemporaryDirectory({.directory = scenario_directory()}),
                  [&](const std::string& made) -> Coro<> {
                      path = made;
                      co_await fs::write_file(made + "/x", "x");
                  });
    const bool there = co_await fs::exists(path);
    if (there) throw std::system_error(ENOTEMPTY, std::generic_category(), "remove " + path);
}

Coro<> standard_streams() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "make a pipe");
    const os::Fd reading(ends[0]);
    os::Fd writing(ends[1]);
    StandardInput input = file::open_input(reading.get(), 65536);
    StreamWriter output = file::open_output(writing.get());
    output.write("a line\n");
    output.close();
    co_await output.wait_closed();
    const std::string line = co_await input.readline();
    if (line.empty()) throw IncompleteReadError("", 7);
    expect(line == "a line\n", "what was written is read");
    input.close();
}

Coro<> standard_streams_of_a_file() {
    const std::string path = path_of("input");
    co_await fs::write_file(path, "first\nsecond\n");
    const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) throw std::system_error(errno, std::generic_category(), "open the file");
    StandardInput input = file::open_input(file.get(), 65536);
    const std::string text = co_await input.read();
    expect(text == "first\nsecond\n", "the file is read");
}

Coro<> cancel_reads_of_files() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "make a pipe");
    const os::Fd writing(ends[1]);
    File file = File::from_fd(ends[0], "a pipe");
    auto reading = create_task(file.read(10));
    co_await sleep(1ms);
    reading.cancel();
    if (::write(writing.get(), "0123456789", 10) != 10)
        throw std::system_error(errno, std::generic_category(), "write to the pipe");
    (void)co_await as_outcome(reading);
    co_await file.close();
}

Coro<> nobody_reads() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw std::system_error(errno, std::generic_category(), "make a pipe");
    const os::Fd writing(ends[1]);
    os::Fd reading(ends[0]);
    File file = File::from_fd(::fcntl(writing.get(), F_DUPFD_CLOEXEC, 0), "a pipe");
    reading.reset();
    bool broken = false;
    try {
        co_await file.write("for nobody");
        co_await file.close();
    } catch (const std::system_error& error) {
        broken = error.code() == std::errc::broken_pipe;
        if (!broken) throw;
    }
    expect(broken, "a broken pipe is an error, and no signal");
}

}  // namespace

std::span<const Scenario> file_scenarios() {
    static constexpr Scenario list[] = {
        {"files", on_loop<files>, true},
        {"with_a_file", on_loop<with_a_file>, true},
        {"file_system", on_loop<file_system>, true},
        {"write_atomic", on_loop<write_atomic>, true},
        {"copy", on_loop<copy>, true},
        {"watch", on_loop<watch>},
        {"temporary", on_loop<temporary>, true},
        {"standard_streams", on_loop<standard_streams>},
        {"standard_streams_of_a_file", on_loop<standard_streams_of_a_file>, true},
        {"nobody_reads", on_loop<nobody_reads>, true},
        {"cancel_reads_of_files", on_loop<cancel_reads_of_files>, true},
    };
    return list;
}

}  // namespace asyncio::proof
