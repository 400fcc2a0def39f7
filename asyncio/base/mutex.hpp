// SPDX-License-Identifier: MIT
//
// std::mutex and std::lock_guard, without the rest of <mutex>: timed and recursive ones, call_once.
#pragma once

#if __has_include(<bits/std_mutex.h>)
#include <bits/std_mutex.h>
#else
#include <mutex>
#endif
