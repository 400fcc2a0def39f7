// SPDX-License-Identifier: MIT
#include <asyncio/file/inotify_changes.hpp>

#include <algorithm>
#include <cstring>

#include <sys/inotify.h>

namespace asyncio::file {

namespace {

using fs::Change;
using Kind = Change::Kind;

struct KindOf {
    std::uint32_t bit;
    Kind kind;
};
constexpr KindOf kKinds[] = {
    {IN_CREATE, Kind::created},    {IN_MODIFY, Kind::modified}, {IN_CLOSE_WRITE, Kind::written},
    {IN_ATTRIB, Kind::attributes}, {IN_DELETE, Kind::removed},  {IN_MOVED_FROM, Kind::moved_from},
    {IN_MOVED_TO, Kind::moved_to},
};

Change gone(std::string path) {
    return Change{.kind = Kind::gone, .watched = std::move(path), .name = {}};
}

}  // namespace

void InotifyChanges::add(int number, std::string path) {
    if (std::ranges::find(ended_early_, number) == ended_early_.end())
        paths_.insert_or_assign(number, std::move(path));
    else
        changes_.push_back(gone(std::move(path)));
}

void InotifyChanges::read(std::span<const std::byte> records, std::size_t behind) {
    stale_ -= std::min(stale_, records.size());
    bool whole = false;
    try {
        whole = take_records(records);
    } catch (...) {
        note_overflow(behind);  // no memory for it; the next read tells
        throw;
    }
    tell_overflow(!whole, behind);
}

void InotifyChanges::run_dry() {
    stale_ = 0;
    tell_overflow(false, 0);
}

/// False: some were lost.
bool InotifyChanges::take_records(std::span<const std::byte> records) {
    bool whole = true;
    while (!records.empty()) {
        inotify_event record;
        if (records.size() < sizeof record) return false;
        std::memcpy(&record, records.data(), sizeof record);
        records = records.subspan(sizeof record);
        if (records.size() < record.len) return false;
        const auto* const name = reinterpret_cast<const char*>(records.data());
        if ((record.mask & IN_Q_OVERFLOW) != 0)
            whole = false;
        else
            take_record(record, std::string(name, ::strnlen(name, record.len)));
        records = records.subspan(record.len);
    }
    return whole;
}

void InotifyChanges::note_overflow(std::size_t behind) noexcept {
    if (overflows_ == 0) stale_ = behind;
    overflows_ = std::min(overflows_ + 1, 2);
}

void InotifyChanges::tell_overflow(bool found, std::size_t behind) {
    if (overflows_ == 0) stale_ = behind;
    if (found) note_overflow(behind);
    if (overflows_ == 0 || stale_ > 0) return;
    changes_.emplace_back();
    lost_ = true;
    overflows_ = behind > 0 ? overflows_ - 1 : 0;
    stale_ = behind;
}

void InotifyChanges::take_record(const inotify_event& record, const std::string& name) {
    // What is elsewhere now is not what was asked for, unless it was asked for again since.
    if ((record.mask & IN_MOVE_SELF) != 0) unwanted(record.wd);
    // The system may have given the number once more, for a path that is just being added.
    const bool ends = (record.mask & IN_IGNORED) != 0;
    if (ends && adding_ > 0) ended_early_.push_back(record.wd);
    const auto path = paths_.find(record.wd);
    if (path == paths_.end()) {
        if (!ends && adding_ == 0) unwanted(record.wd);
        return;
    }
    for (const KindOf& known : kKinds) {
        if ((record.mask & known.bit) == 0) continue;
        const bool moved = known.kind == Kind::moved_from || known.kind == Kind::moved_to;
        changes_.push_back(Change{.kind = known.kind,
                                  .is_dir = (record.mask & IN_ISDIR) != 0,
                                  .pair = moved ? record.cookie : 0,
                                  .watched = path->second,
                                  .name = name});
    }
    if (ends) end(record.wd);
}

void InotifyChanges::unwanted(int number) {
    if (std::ranges::find(unwanted_, number) == unwanted_.end()) unwanted_.push_back(number);
}

void InotifyChanges::end(int number) {
    const auto path = paths_.find(number);
    if (path == paths_.end()) return;
    changes_.push_back(gone(path->second));
    paths_.erase(path);
}

Change InotifyChanges::take() {
    Change first = std::move(changes_.front());
    changes_.pop_front();
    return first;
}

}  // namespace asyncio::file
