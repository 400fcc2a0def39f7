// SPDX-License-Identifier: MIT
#include <asyncio/testing/simulated_inode.hpp>
#include <asyncio/testing/simulated_inotify.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/inotify.h>

namespace asyncio::testing {

namespace {

constexpr std::uint32_t kFlags =
    IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE | IN_ONESHOT | IN_ONLYDIR;

/// The name is filled up with zeros: at least one, so that the next record is aligned.
std::size_t size_of_name(const std::string& name) noexcept {
    constexpr std::size_t kGrid = sizeof(inotify_event);
    return name.empty() ? 0 : (name.size() / kGrid + 1) * kGrid;
}

bool is_same(const SimulatedInotify::Record& a, const SimulatedInotify::Record& b) noexcept {
    return (a.what & IN_IGNORED) == 0 && a.what == b.what && a.watch == b.watch && a.name == b.name;
}

}  // namespace

SimulatedInotify::SimulatedInotify(Disk& disk, UniqueFunction<void(const Record&)> on_record)
    : disk_(disk), on_record_(std::move(on_record)) {
    disk_.begin_to_tell(*this);
}

SimulatedInotify::~SimulatedInotify() { disk_.end_telling(*this); }

// --- watches -------------------------------------------------------------------------------------

SimulatedInotify::Watches::iterator SimulatedInotify::watch_of(
    const SimulatedInode* inode) noexcept {
    return std::ranges::find_if(watches_, [&](const auto& w) { return w.second.inode == inode; });
}

int SimulatedInotify::add(const char* path, std::uint32_t what) {
    if ((what & (IN_ALL_EVENTS | kFlags)) == 0) return -EINVAL;
    if ((what & IN_MASK_ADD) != 0 && (what & IN_MASK_CREATE) != 0) return -EINVAL;
    int error = 0;
    const SimulatedInode* const inode = disk_.find_inode(path, (what & IN_DONT_FOLLOW) == 0, error);
    if (inode == nullptr) return error;
    if ((what & IN_ONLYDIR) != 0 && !inode->is_directory()) return -ENOTDIR;
    const auto found = watch_of(inode);
    if (found == watches_.end()) {
        if (watches_.size() >= kMostWatches) return -ENOSPC;
        watches_[++numbers_] = {inode, what};
        return numbers_;
    }
    if ((what & IN_MASK_CREATE) != 0) return -EEXIST;
    found->second.what = (what & IN_MASK_ADD) != 0 ? found->second.what | what : what;
    return found->first;
}

int SimulatedInotify::remove(int watch) {
    const auto found = watches_.find(watch);
    if (found == watches_.end()) return -EINVAL;
    end(found);
    return 0;
}

void SimulatedInotify::end(Watches::iterator watch) {
    const int number = watch->first;
    watches_.erase(watch);
    put({.watch = number, .what = IN_IGNORED});
}

void SimulatedInotify::end(const SimulatedInode& inode) {
    tell({.what = IN_DELETE_SELF, .inode = &inode});
    const auto watch = watch_of(&inode);
    if (watch != watches_.end()) end(watch);
}

void SimulatedInotify::lose_power() {
    watches_.clear();
    queue_.clear();
    overflowed_ = false;
}

// --- records -------------------------------------------------------------------------------------

void SimulatedInotify::tell(const DiskEvent& event) {
    if (event.directory != nullptr) tell(watch_of(event.directory), event, event.name);
    if (event.inode != nullptr) tell(watch_of(event.inode), event, {});
}

void SimulatedInotify::tell(Watches::iterator watch, const DiskEvent& event,
                            std::string_view name) {
    if (watch == watches_.end() || (watch->second.what & event.what & IN_ALL_EVENTS) == 0) return;
    if (event.is_hidden && (watch->second.what & IN_EXCL_UNLINK) != 0) return;
    const bool ends = (watch->second.what & IN_ONESHOT) != 0;
    put({.watch = watch->first, .what = event.what, .pair = event.pair, .name = std::string(name)});
    if (ends) end(watch);
}

void SimulatedInotify::put(Record record) {
    const bool is_full = queue_.size() >= disk_.faults.watch_queue || disk_.loses_record();
    if (is_full && overflowed_) return;
    if (is_full) {
        record = {.watch = -1, .what = IN_Q_OVERFLOW};
        overflowed_ = true;
    } else if (!queue_.empty() && is_same(queue_.back(), record)) {
        return;
    }
    queue_.push_back(std::move(record));
    on_record_(queue_.back());
}

std::ptrdiff_t SimulatedInotify::read(std::span<std::byte> buffer) {
    if (queue_.empty()) return -EAGAIN;
    std::size_t used = 0;
    while (!queue_.empty()) {
        const Record& record = queue_.front();
        const std::size_t name = size_of_name(record.name);
        if (sizeof(inotify_event) + name > buffer.size() - used) break;
        inotify_event event = {};
        event.wd = record.watch;
        event.mask = record.what;
        event.cookie = record.pair;
        event.len = static_cast<std::uint32_t>(name);
        std::memcpy(buffer.data() + used, &event, sizeof event);
        used += sizeof event;
        std::memset(buffer.data() + used, 0, name);
        std::memcpy(buffer.data() + used, record.name.data(), record.name.size());
        used += name;
        if ((record.what & IN_Q_OVERFLOW) != 0) overflowed_ = false;
        queue_.pop_front();
    }
    return used > 0 ? static_cast<std::ptrdiff_t>(used) : -EINVAL;
}

std::size_t SimulatedInotify::unread_bytes() const noexcept {
    std::size_t bytes = 0;
    for (const Record& record : queue_) bytes += sizeof(inotify_event) + size_of_name(record.name);
    return bytes;
}

}  // namespace asyncio::testing
