// SPDX-License-Identifier: MIT
//
// Python's modes of open(): exactly one of r w a x, then + for both directions, t or b.
//
// Text and binary are the same here: a file's bytes, as on every POSIX system, without decoding and
// without changing line ends.
#pragma once

#include <string_view>

namespace asyncio::file {

/// The O_ flags of a mode. std::invalid_argument for what is none, with Python's words.
int open_flags(std::string_view mode);

}  // namespace asyncio::file
