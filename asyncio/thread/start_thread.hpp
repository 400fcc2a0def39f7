// SPDX-License-Identifier: MIT
//
// start_thread: a thread whose failure to start says so. Not for public headers.
#pragma once

#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace asyncio::thread {

/// Append to `threads` one that runs `f`. std::system_error "start a thread: Resource temporarily
/// unavailable", and then nothing has changed. Room is made before: a thread that runs and cannot
/// be kept would be the end of the process.
template <class F>
void start_thread(std::vector<std::thread>& threads, F&& f) {
    std::thread& place = threads.emplace_back();
    try {
        place = std::thread(std::forward<F>(f));
    } catch (const std::system_error& error) {
        threads.pop_back();
        throw std::system_error(error.code(), "start a thread");
    } catch (...) {
        threads.pop_back();
        throw;
    }
}

}  // namespace asyncio::thread
