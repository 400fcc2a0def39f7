// SPDX-License-Identifier: MIT
#include <asyncio/base/log_parts.hpp>

#include <new>
#include <string>

namespace asyncio {

namespace {

void log_beginning(LogLevel level, std::initializer_list<std::string_view> parts) noexcept {
    char text[256];
    std::size_t size = 0;
    for (const std::string_view part : parts) size += part.copy(text + size, sizeof text - size);
    log(level, std::string_view(text, size));
}

}  // namespace

void log_parts(LogLevel level, std::initializer_list<std::string_view> parts) noexcept {
    std::string text;
    try {
        for (const std::string_view part : parts) text += part;
    } catch (const std::bad_alloc&) {
        return log_beginning(level, parts);
    }
    log(level, text);
}

}  // namespace asyncio
