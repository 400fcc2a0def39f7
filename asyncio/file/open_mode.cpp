// SPDX-License-Identifier: MIT
#include <asyncio/file/open_mode.hpp>

#include <stdexcept>
#include <string>

#include <fcntl.h>

namespace asyncio::file {

namespace {

[[noreturn]] void refuse(std::string_view mode) {
    throw std::invalid_argument("invalid mode: '" + std::string(mode) + "'");
}

int flags_of(char kind, bool both) {
    const int direction = both ? O_RDWR : kind == 'r' ? O_RDONLY : O_WRONLY;
    switch (kind) {
        case 'w':
            return direction | O_CREAT | O_TRUNC;
        case 'a':
            return direction | O_CREAT | O_APPEND;
        case 'x':
            return direction | O_CREAT | O_EXCL;
        default:
            return direction;
    }
}

}  // namespace

int open_flags(std::string_view mode) {
    char kind = 0;
    int kinds = 0;
    for (std::size_t i = 0; i < mode.size(); ++i) {
        if (mode.find(mode[i], i + 1) != std::string_view::npos) refuse(mode);  // twice
        switch (mode[i]) {
            case 'r':
            case 'w':
            case 'a':
            case 'x':
                kind = mode[i];
                ++kinds;
                break;
            case '+':
            case 't':
            case 'b':
                break;
            default:
                refuse(mode);
        }
    }
    if (mode.find('t') != std::string_view::npos && mode.find('b') != std::string_view::npos)
        throw std::invalid_argument("can't have text and binary mode at once");
    if (kinds != 1)
        throw std::invalid_argument(
            "must have exactly one of create/read/write/append mode, not '" + std::string(mode) +
            "'");
    return flags_of(kind, mode.find('+') != std::string_view::npos);
}

}  // namespace asyncio::file
