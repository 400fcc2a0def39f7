// SPDX-License-Identifier: MIT
//
// run_main: what a program's main() returns: run(), and the end that Python's interpreter would
// make of the program.
//
//     int main() { return asyncio::run_main(serve()); }
//     int main(int argc, char** argv) {
//         return asyncio::run_main([&] { return fetch(argc > 1 ? argv[1] : "localhost"); });
//     }
//
//   how main ends                  exit status, and what standard error gets
//   with a result                  0; if it is an int, that
//   with an exception              1, "PROGRAM: what was wrong", in debug mode with the coroutines
//   with SystemExit(n)             n
//   by Ctrl-C (KeyboardInterrupt)  130, as a shell has it
//   cancelled                      1, "PROGRAM: cancelled"
//
// Of a std::runtime_error (thus of every std::system_error), which is written for people, what() is
// shown; of all else the type, too. Of a group each exception that is in it.
#pragma once

#include <asyncio/task/run.hpp>

#include <exception>
#include <type_traits>
#include <utility>

namespace asyncio {

namespace task {
/// Says what was wrong; the exit status.
int exit_status(const std::exception_ptr& error, const RunOptions& options);
}  // namespace task

template <class A>
int run_main(A&& main, RunOptions options = {}) {
    try {
        using Result = decltype(run(std::forward<A>(main), options));
        if constexpr (std::is_same_v<Result, int>) {
            return run(std::forward<A>(main), options);
        } else {
            (void)run(std::forward<A>(main), options);
            return 0;
        }
    } catch (...) {
        return task::exit_status(std::current_exception(), options);
    }
}

}  // namespace asyncio
