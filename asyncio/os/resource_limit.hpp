// SPDX-License-Identifier: MIT
//
// ResourceLimit: how much of something a program that we start may have (setrlimit).
#pragma once

namespace asyncio::os {

struct ResourceLimit {
    int resource;  // RLIMIT_...
    unsigned long soft;
    unsigned long hard;
};

}  // namespace asyncio::os
