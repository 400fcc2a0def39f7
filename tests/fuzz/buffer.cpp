// SPDX-License-Identifier: MIT
//
// stream::Buffer against a string: what comes in at the back comes out at the front, whatever
// memory it lives in meanwhile. One Buffer is moved and swapped with another.
//
// covers: stream/buffer.hpp stream/buffer.cpp
#include <asyncio/stream/buffer.hpp>

#include "fuzz.hpp"

namespace {

using asyncio::stream::Buffer;

struct Pair {
    Buffer real;
    std::string model;

    void check() const {
        FUZZ_CHECK(real.size() == model.size());
        FUZZ_CHECK(real.empty() == model.empty());
        FUZZ_CHECK(real.view() == model);
    }
};

/// Bytes that are all different from their neighbours, up to 80 KB of them.
std::string some_bytes(asyncio::fuzz::Input& input) {
    const std::uint64_t length = input.number(2);
    std::string bytes(length >= 0xff00 ? 80'000 : length % 2100, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + length);
    return bytes;
}

std::span<const std::byte> as_bytes(const std::string& text) {
    return std::as_bytes(std::span(text));
}

void step(asyncio::fuzz::Input& input, Pair& one, Pair& other) {
    const std::size_t choice = input.below(8);
    const std::size_t some = one.model.empty() ? 0 : input.number(2) % (one.model.size() + 1);
    switch (choice) {
        case 0:
        case 1: {
            const std::string bytes = some_bytes(input);
            one.real.append(as_bytes(bytes));
            one.model += bytes;
            break;
        }
        case 2: {
            const std::string bytes = some_bytes(input);
            one.real.prepend(as_bytes(bytes));
            one.model.insert(0, bytes);
            break;
        }
        case 3:
            one.real.consume(some);
            one.model.erase(0, some);
            break;
        case 4: {
            const std::size_t count = input.chance() ? one.model.size() : some;
            FUZZ_CHECK(one.real.take(count) == one.model.substr(0, count));
            one.model.erase(0, count);
            break;
        }
        case 5:
            one.real.swap(other.real);
            one.model.swap(other.model);
            break;
        case 6:
            one.real = std::move(other.real);
            one.model = std::exchange(other.model, std::string());
            break;
        default:
            one.real.clear();
            one.model.clear();
    }
}

}  // namespace

FUZZ_TARGET(buffer) {
    Pair pairs[2];
    while (!input.empty()) {
        const bool second = input.chance();
        step(input, pairs[second], pairs[!second]);
        for (const Pair& pair : pairs) pair.check();
        if (pairs[0].model.size() + pairs[1].model.size() > 1'000'000) return;
    }
}
