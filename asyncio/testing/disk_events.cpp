// SPDX-License-Identifier: MIT
//
// What happens, as inotify tells it. Linux tells changes of names to who watches the directory, and
// everything else to both, under the name by which the file was opened or found.
#include <asyncio/testing/disk.hpp>
#include <asyncio/testing/simulated_inode.hpp>
#include <asyncio/testing/simulated_inotify.hpp>

#include <algorithm>
#include <cerrno>

#include <sys/inotify.h>

namespace asyncio::testing {

namespace {

std::uint32_t bit_of_directories(const SimulatedInode& inode) noexcept {
    return inode.is_directory() ? IN_ISDIR : 0U;
}

}  // namespace

void Disk::begin_to_tell(SimulatedInotify& watcher) { watchers_.push_back(&watcher); }
void Disk::end_telling(SimulatedInotify& watcher) noexcept { std::erase(watchers_, &watcher); }

const SimulatedInode* Disk::find_inode(const char* path, bool follow, int& error) {
    error = !powered_ || random_.chance(faults.name_error) ? -EIO : 0;
    if (error != 0) return nullptr;
    const Place place = find(-1, path, follow);
    error = place.error != 0 ? place.error : -ENOENT;
    return place.error != 0 ? nullptr : place.found;
}

// --- names ---------------------------------------------------------------------------------------

Disk::FoundName Disk::name_of(const Place& place) {
    Inode* const inode = place.found;
    if (!inode->is_directory()) return {place.directory, place.name};
    if (inode->parent == inode) return {};
    for (const auto& [name, found] : inode->parent->names)  // it may have been found by ".."
        if (found == inode) return {inode->parent, name};
    return {inode->parent, "", 1};  // it is removed
}

bool Disk::FoundName::is(const Place& place) const noexcept {
    return removal == 0 && directory == place.directory && name == place.name;
}

/// Who has found it has a name that is removed: that one.
Disk::FoundName Disk::remove_found(const Place& place) {
    const std::uint64_t removal = ++removals_;
    for (auto& file : open_)
        if (file && file->found.is(place)) file->found.removal = removal;
    return {place.directory, place.name, removal};
}

/// Who has found one has the other now.
void Disk::exchange_found(const Place& a, const Place& b) {
    for (auto& file : open_) {
        if (!file) continue;
        if (file->found.is(a))
            file->found = {b.directory, b.name};
        else if (file->found.is(b))
            file->found = {a.directory, a.name};
    }
}

// --- telling -------------------------------------------------------------------------------------

void Disk::tell(const DiskEvent& event) {
    for (SimulatedInotify* const watcher : watchers_) watcher->tell(event);
}

void Disk::tell_name(std::uint32_t what, const Place& place, const Inode& inode,
                     std::uint32_t pair) {
    tell({.what = what | bit_of_directories(inode),
          .directory = place.directory,
          .name = place.name,
          .pair = pair});
}

/// The name has no part in it.
void Disk::tell_inode(std::uint32_t what, const Inode& inode) {
    tell({.what = what | bit_of_directories(inode), .inode = &inode});
}

void Disk::tell_found(std::uint32_t what, const FoundName& found, const Inode& inode,
                      bool is_open) {
    tell({.what = what | bit_of_directories(inode),
          .directory = found.directory,
          .name = found.name,
          .inode = &inode,
          .is_hidden = is_open && found.removal != 0});
}

/// By a descriptor that is read, written or closed; ftruncate() and fchmod() do not count as such.
void Disk::tell_open(std::uint32_t what, const OpenFile& file) {
    tell_found(what, file.found, *file.inode, true);
}

void Disk::tell_move(const Place& from, const Place& to, const Inode* replaced) {
    const std::uint32_t pair = ++moves_;
    tell_name(IN_MOVED_FROM, from, *from.found, pair);
    tell_name(IN_MOVED_TO, to, *from.found, pair);
    if (replaced != nullptr) tell_inode(IN_ATTRIB, *replaced);
    tell({.what = IN_MOVE_SELF, .inode = from.found});
}

// --- the end -------------------------------------------------------------------------------------

/// True if it is open by that name, or, a directory, by any; or something is that is, or was, in
/// it.
bool Disk::is_held(const Inode& inode, const FoundName& by) const noexcept {
    return std::ranges::any_of(open_, [&](const auto& file) {
        if (!file) return false;
        if (file->inode == &inode && (inode.is_directory() || file->found == by)) return true;
        const Inode* above = file->found.directory;
        while (above != nullptr && above != &inode && above != root_) above = above->parent;
        return above == &inode;
    });
}

/// Linux looks when one of the names that were found is forgotten: here, `last`.
void Disk::end_if_gone(const Inode& inode, const FoundName& last) {
    if (watchers_.empty() || inode.links > 0 || is_held(inode, last)) return;
    for (SimulatedInotify* const watcher : watchers_) watcher->end(inode);
}

}  // namespace asyncio::testing
