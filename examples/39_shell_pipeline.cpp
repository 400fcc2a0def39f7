// SPDX-License-Identifier: MIT
//
// A pipeline of programs, as a shell makes it: each writes straight into the next, nothing passes
// through us; and every program's end is known. Then the same, left to a shell.
//
//     ./dev example 39
//
// prints:
//     2 be
//     2 or
//     2 to
//     ended with 0 0 0 0
//     the shell says the same
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using asyncio::Coro;
using Program = std::vector<std::string>;

struct Pipe {
    Pipe() {
        if (::pipe2(ends, O_CLOEXEC) != 0)
            throw std::system_error(errno, std::generic_category(), "pipe");
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() { close(); }
    /// Both ends are the programs' now. As long as we had one, no reader would see the end.
    void close() {
        for (int& end : ends)
            if (end >= 0) ::close(std::exchange(end, -1));
    }
    int ends[2] = {-1, -1};
};

struct Finished {
    std::string out;
    std::vector<int> codes;
};

Coro<Finished> run_pipeline(std::vector<Program> programs) {
    std::vector<asyncio::Process> running;
    int input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (std::size_t i = 0; i < programs.size(); ++i) {
        const bool last = i + 1 == programs.size();
        Pipe next;
        const asyncio::Stdio output = last ? asyncio::PIPE : asyncio::Stdio(next.ends[1]);
        const asyncio::SubprocessOptions options{.stdin_ = input, .stdout_ = output};
        running.push_back(co_await asyncio::create_subprocess_exec(options, programs[i]));
        ::close(std::exchange(input, std::exchange(next.ends[0], -1)));
    }
    ::close(input);
    Finished finished;
    auto [out, err] = co_await running.back().communicate();
    finished.out = std::move(out);
    for (asyncio::Process& process : running) {
        const int code = co_await process.wait();
        finished.codes.push_back(code);
    }
    co_return finished;
}

Coro<> count_words() {
    std::vector<Program> programs;
    programs.push_back({"printf", "%s\\n", "to", "be", "or", "not", "to", "be", "or", "what"});
    programs.push_back({"sort"});
    programs.push_back({"uniq", "-c"});
    programs.push_back({"awk", "$1 > 1 { print $1, $2 }"});
    const Finished finished = co_await run_pipeline(std::move(programs));
    std::printf("%sended with", finished.out.c_str());
    for (const int code : finished.codes) std::printf(" %d", code);

    asyncio::Process shell =
        co_await asyncio::create_subprocess_shell({.stdout_ = asyncio::PIPE},
                                                  "printf '%s\\n' to be or not to be or what | "
                                                  "sort | uniq -c | awk '$1 > 1 { print $1, $2 }'");
    auto [out, err] = co_await shell.communicate();
    std::printf("\nthe shell says %s\n", out == finished.out ? "the same" : out.c_str());
}

int main() { return asyncio::run_main(count_words()); }
