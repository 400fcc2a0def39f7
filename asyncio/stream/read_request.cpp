// SPDX-License-Identifier: MIT
#include <asyncio/stream/error.hpp>
#include <asyncio/stream/read_request.hpp>

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace asyncio::stream {

bool ReadSome::ready(const StreamCore& core) const {
    return wanted == 0 || !core.buffer().empty() || core.over();
}

bool ReadSome::accept(StreamCore& core, std::span<const std::byte>& fresh) {
    if (fresh.empty() || !core.buffer().empty()) return false;
    const std::size_t count = std::min(wanted, fresh.size());
    taken.assign(reinterpret_cast<const char*>(fresh.data()), count);
    fresh = fresh.subspan(count);
    return true;
}

void ReadSome::put_back(StreamCore& core) {
    core.buffer().prepend(std::as_bytes(std::span(taken)));
    taken.clear();
}

std::string ReadSome::take(StreamCore& core) {
    if (!taken.empty()) return std::move(taken);
    core.throw_if_failed();
    return core.buffer().take(std::min(wanted, core.buffer().size()));
}

bool ReadAll::ready(const StreamCore& core) const { return core.over(); }

std::string ReadAll::take(StreamCore& core) {
    core.throw_if_failed();
    return core.buffer().take(core.buffer().size());
}

bool ReadInto::ready(const StreamCore& core) const {
    return target.empty() || !core.buffer().empty() || core.over();
}

bool ReadInto::accept(StreamCore& core, std::span<const std::byte>& fresh) {
    if (fresh.empty() || !core.buffer().empty()) return false;
    taken = std::min(target.size(), fresh.size());
    std::memcpy(target.data(), fresh.data(), taken);
    fresh = fresh.subspan(taken);
    return true;
}

void ReadInto::put_back(StreamCore& core) {
    core.buffer().prepend(target.first(taken));
    taken = 0;
}

std::size_t ReadInto::take(StreamCore& core) {
    if (taken > 0) return taken;
    core.throw_if_failed();
    const std::size_t count = std::min(target.size(), core.buffer().size());
    if (count == 0) return 0;
    std::memcpy(target.data(), core.buffer().view().data(), count);
    core.buffer().consume(count);
    return count;
}

bool ReadExactly::ready(const StreamCore& core) const {
    return core.buffer().size() >= wanted || core.over();
}

std::string ReadExactly::take(StreamCore& core) {
    core.throw_if_failed();
    Buffer& buffer = core.buffer();
    if (buffer.size() < wanted) {
        std::string partial = buffer.take(buffer.size());
        throw IncompleteReadError(std::move(partial), wanted);
    }
    return buffer.take(wanted);
}

ReadUntil::ReadUntil(std::string_view separator)
    : ReadUntil(std::vector<std::string>(1, std::string(separator))) {}

ReadUntil::ReadUntil(std::vector<std::string> separators) : separators_(std::move(separators)) {
    if (separators_.empty())
        throw std::invalid_argument("Separator should contain at least one element");
    const auto by_size = [](const std::string& a, const std::string& b) {
        return a.size() < b.size();
    };
    const auto [least, most] = std::ranges::minmax_element(separators_, by_size);
    shortest_ = least->size();
    longest_ = most->size();
    if (shortest_ == 0) throw std::invalid_argument("Separator should be at least one-byte string");
}

void ReadUntil::search(std::string_view data, std::size_t limit) {
    if (data.size() < scanned_ + shortest_) return;
    for (const std::string& separator : separators_) {
        const std::size_t start = data.find(separator, scanned_);
        if (start == std::string_view::npos) continue;
        const std::size_t end = start + separator.size();
        if (verdict == Verdict::found && end >= match_end) continue;
        verdict = Verdict::found;
        match_start = start;
        match_end = end;
    }
    if (verdict == Verdict::found) {
        if (match_start > limit) verdict = Verdict::found_over_limit;
        return;
    }
    scanned_ = data.size() + 1 > longest_ ? data.size() + 1 - longest_ : 0;
    if (scanned_ > limit) {
        verdict = Verdict::missing_over_limit;
        match_start = scanned_;
    }
}

bool ReadUntil::ready(const StreamCore& core) {
    if (core.error()) return true;
    search(core.buffer().view(), core.limit());
    return verdict != Verdict::searching || core.eof();
}

std::string ReadUntil::take(StreamCore& core) {
    core.throw_if_failed();
    Buffer& buffer = core.buffer();
    switch (verdict) {
        case Verdict::found:
            return buffer.take(match_end);
        case Verdict::found_over_limit:
            throw LimitOverrunError("Separator is found, but chunk is longer than limit",
                                    match_start);
        case Verdict::missing_over_limit:
            throw LimitOverrunError("Separator is not found, and chunk exceed the limit",
                                    match_start);
        case Verdict::searching:
            break;
    }
    std::string partial = buffer.take(buffer.size());
    throw IncompleteReadError(std::move(partial), std::nullopt);
}

std::string ReadLine::take(StreamCore& core) {
    core.throw_if_failed();
    Buffer& buffer = core.buffer();
    switch (until.verdict) {
        case ReadUntil::Verdict::found:
            return buffer.take(until.match_end);
        case ReadUntil::Verdict::found_over_limit:
            buffer.consume(until.match_end);
            throw std::invalid_argument("Separator is found, but chunk is longer than limit");
        case ReadUntil::Verdict::missing_over_limit:
            buffer.clear();
            throw std::invalid_argument("Separator is not found, and chunk exceed the limit");
        case ReadUntil::Verdict::searching:
            break;
    }
    return buffer.take(buffer.size());
}

std::optional<std::string> NextLine::take(StreamCore& core) {
    std::string line = ReadLine::take(core);
    if (line.empty()) return std::nullopt;
    return line;
}

}  // namespace asyncio::stream
