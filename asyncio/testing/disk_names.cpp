// SPDX-License-Identifier: MIT
//
// Names: where paths lead, and the calls that change what is where.
#include <asyncio/os/file_call.hpp>
#include <asyncio/testing/disk.hpp>
#include <asyncio/testing/simulated_inode.hpp>

#include <algorithm>
#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/stat.h>

namespace asyncio::testing {

namespace {

using os::FileCall;

constexpr unsigned kUmask = 022;

SimulatedInode* name_in(const SimulatedInode& directory, std::string_view name) {
    const auto found = directory.names.find(name);
    return found == directory.names.end() ? nullptr : found->second;
}

/// True if `inode` is `directory` or above it.
bool contains(const SimulatedInode* inode, const SimulatedInode* directory) noexcept {
    while (directory != inode && directory->parent != directory) directory = directory->parent;
    return directory == inode;
}

statx_timestamp stamp_of(TimePoint time) noexcept {
    const auto since = time.time_since_epoch();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    statx_timestamp stamp = {};
    stamp.tv_sec = seconds.count();
    stamp.tv_nsec = static_cast<unsigned>((since - seconds).count());
    return stamp;
}

}  // namespace

bool SimulatedInode::is_directory() const noexcept { return S_ISDIR(mode); }
bool SimulatedInode::is_file() const noexcept { return S_ISREG(mode); }
bool SimulatedInode::is_symlink() const noexcept { return S_ISLNK(mode); }

// --- paths ---------------------------------------------------------------------------------------

Disk::Place Disk::nowhere(int error) {
    Place place;
    place.error = error;
    return place;
}

Disk::Place Disk::find(int fd, std::string_view path, bool follow) {
    if (path.empty()) return nowhere(-ENOENT);
    Inode* from = root_;
    if (fd >= 0 && !path.starts_with('/')) {
        const OpenFile* const file = open_file(fd);
        if (file == nullptr) return nowhere(-EBADF);
        from = file->inode;
    }
    return walk(from, path, follow, 0);
}

Disk::Place Disk::walk(Inode* from, std::string_view path, bool follow, int links) {
    if (path.starts_with('/')) from = root_;
    Place place{.directory = from, .name = ".", .found = from};
    while (!path.empty()) {
        const std::size_t slashes = std::min(path.find_first_not_of('/'), path.size());
        path.remove_prefix(slashes);
        if (slashes > 0) place.wants_directory = true;
        if (path.empty()) break;
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(name.size());
        if (place.found == nullptr) return nowhere(-ENOENT);
        if (!place.found->is_directory()) return nowhere(-ENOTDIR);
        if (name.size() > kLongestName) return nowhere(-ENAMETOOLONG);
        Inode* const directory = place.found;
        Inode* found = name_in(*directory, name);
        if (name == ".") found = directory;
        if (name == "..") found = directory->parent;
        place = {.directory = directory, .name = std::string(name), .found = found};
        const bool last = path.find_first_not_of('/') == std::string_view::npos;
        if (found == nullptr || !found->is_symlink() || (last && !follow && path.empty())) continue;
        if (links >= kMostLinks) return nowhere(-ELOOP);
        place = walk(directory, found->contents, true, ++links);
        if (place.error != 0) return place;
    }
    if (place.wants_directory && place.found != nullptr && !place.found->is_directory())
        return nowhere(-ENOTDIR);
    return place;
}

std::string Disk::path_of(const Inode& directory) const {
    if (&directory == root_) return "/";
    for (const auto& [name, inode] : directory.parent->names) {
        if (inode != &directory) continue;
        const std::string above = path_of(*directory.parent);
        return above == "/" ? above + name : above + "/" + name;
    }
    return "/";  // it was removed
}

// --- opening -------------------------------------------------------------------------------------

int Disk::open(const FileCall& call) {
    const bool follows =
        (call.flags & O_NOFOLLOW) == 0 && (call.flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
    Place place = find(call.fd, call.path, follows);
    if (place.error != 0) return place.error;
    if ((call.flags & O_TMPFILE) == O_TMPFILE) {
        if (place.found == nullptr || !place.found->is_directory()) return -ENOTDIR;
        Inode& nameless = add_inode(S_IFREG | (call.mode & 07777 & ~kUmask));
        return open_inode(nameless, call.flags, std::string(call.path) + "/(temporary)",
                          {place.found, "#" + std::to_string(nameless.number), ++removals_});
    }
    return open_place(call, place);
}

int Disk::open_place(const FileCall& call, Place& place) {
    int flags = call.flags;
    if (place.found == nullptr) {
        if ((flags & O_CREAT) == 0) return -ENOENT;
        if (place.wants_directory) return -EISDIR;
        flags &= ~O_TRUNC;
        const int made = make(place, S_IFREG | (call.mode & 07777 & ~kUmask), {});
        if (made != 0) return made;
        place.found = name_in(*place.directory, place.name);
    } else if ((call.flags & O_CREAT) != 0 && (call.flags & O_EXCL) != 0) {
        return -EEXIST;
    }
    Inode& inode = *place.found;
    if (inode.is_symlink()) return -ELOOP;
    if ((call.flags & O_DIRECTORY) != 0 && !inode.is_directory()) return -ENOTDIR;
    const bool writes = (call.flags & O_ACCMODE) != O_RDONLY || (call.flags & O_CREAT) != 0;
    if (inode.is_directory() && writes) return -EISDIR;
    return open_inode(inode, flags, call.path, name_of(place));
}

// --- changing ------------------------------------------------------------------------------------

/// One change: seen at once, saved later.
void Disk::change_names(std::vector<NewName> names) {
    for (const NewName& change : names) {
        Inode*& place = change.directory->names[change.name];
        if (place != nullptr) --place->links;
        place = change.now;
        change.directory->modified = change.directory->changed = agenda_.now();
        if (change.now == nullptr) {
            change.directory->names.erase(change.name);
            continue;
        }
        ++change.now->links;
        change.now->changed = agenda_.now();
        if (change.now->is_directory()) change.now->parent = change.directory;
    }
    unsaved_names_.push_back({std::move(names)});
    write_back(*root_);
}

int Disk::make(const Place& place, unsigned mode, std::string target) {
    if (place.directory != root_ && place.directory->links == 0) return -ENOENT;  // removed
    if (used() >= faults.capacity) return -ENOSPC;
    Inode& inode = add_inode(mode);
    inode.contents = std::move(target);
    inode.saved = inode.contents;
    inode.parent = place.directory;
    change_names({{place.directory, place.name, &inode}});
    tell_name(IN_CREATE, place, inode);
    return 0;
}

int Disk::make_directory(const FileCall& call) {
    const Place place = find(call.fd, call.path, false);
    if (place.error != 0) return place.error;
    if (place.found != nullptr) return -EEXIST;
    return make(place, S_IFDIR | (call.mode & 07777 & ~kUmask), {});
}

int Disk::make_symlink(const FileCall& call) {
    const Place place = find(call.fd, call.other, false);
    if (place.error != 0) return place.error;
    if (place.found != nullptr) return -EEXIST;
    if (place.wants_directory || *call.path == '\0') return -ENOENT;
    return make(place, S_IFLNK | 0777, call.path);
}

int Disk::link(const FileCall& call) {
    const Place from = find(call.fd, call.path, (call.flags & AT_SYMLINK_FOLLOW) != 0);
    if (from.error != 0) return from.error;
    if (from.found == nullptr) return -ENOENT;
    const Place to = find(call.fd, call.other, false);
    if (to.error != 0) return to.error;
    if (to.found != nullptr) return -EEXIST;
    if (to.wants_directory) return -ENOENT;
    if (from.found->is_directory()) return -EPERM;
    change_names({{to.directory, to.name, from.found}});
    tell_inode(IN_ATTRIB, *from.found);
    tell_name(IN_CREATE, to, *from.found);
    return 0;
}

int Disk::unlink(const FileCall& call) {
    const Place place = find(call.fd, call.path, false);
    if (place.error != 0) return place.error;
    if (place.found == nullptr) return -ENOENT;
    if ((call.flags & AT_REMOVEDIR) == 0) {
        if (place.found->is_directory()) return -EISDIR;
    } else {
        if (!place.found->is_directory()) return -ENOTDIR;
        if (place.name == ".") return -EINVAL;
        if (place.name == ".." || !place.found->names.empty()) return -ENOTEMPTY;
    }
    change_names({{place.directory, place.name, nullptr}});
    const FoundName removed = remove_found(place);
    if (!place.found->is_directory()) tell_inode(IN_ATTRIB, *place.found);
    end_if_gone(*place.found, removed);
    tell_name(IN_DELETE, place, *place.found);
    return 0;
}

int Disk::rename(const FileCall& call) {
    Place from = find(call.fd, call.path, false);
    if (from.error != 0) return from.error;
    Place to = find(call.fd, call.other, false);
    if (to.error != 0) return to.error;
    if (from.found == nullptr) return -ENOENT;
    for (const std::string& name : {from.name, to.name})
        if (name == "." || name == "..") return -EBUSY;
    return rename_onto(from, to, call.flags);
}

int Disk::rename_onto(Place& from, Place& to, int flags) {
    const bool exchanges = (flags & RENAME_EXCHANGE) != 0;
    if (to.found != nullptr && (flags & RENAME_NOREPLACE) != 0) return -EEXIST;
    if (to.found == nullptr && exchanges) return -ENOENT;
    if (contains(from.found, to.directory)) return -EINVAL;
    if (to.found != nullptr && contains(to.found, from.directory))
        return exchanges ? -EINVAL : -ENOTEMPTY;
    if (to.found == from.found) return 0;
    if (exchanges) {
        change_names({{from.directory, from.name, to.found}, {to.directory, to.name, from.found}});
        exchange_found(from, to);
        tell_move(from, to, nullptr);
        tell_move(to, from, nullptr);
        return 0;
    }
    if (from.found->is_directory()) {
        if (to.found != nullptr && !to.found->is_directory()) return -ENOTDIR;
        if (to.found != nullptr && !to.found->names.empty()) return -ENOTEMPTY;
    } else if (to.wants_directory) {
        return -ENOTDIR;
    } else if (to.found != nullptr && to.found->is_directory()) {
        return -EISDIR;
    }
    change_names({{to.directory, to.name, from.found}, {from.directory, from.name, nullptr}});
    const FoundName removed = remove_found(to);
    exchange_found(from, to);
    tell_move(from, to, to.found);
    if (to.found != nullptr) end_if_gone(*to.found, removed);
    return 0;
}

// --- looking -------------------------------------------------------------------------------------

int Disk::stat(const FileCall& call) {
    const Inode* inode = nullptr;
    if (*call.path == '\0') {
        const OpenFile* const file = open_file(call.fd);
        if (file == nullptr) return call.fd >= 0 ? -EBADF : -ENOENT;
        inode = file->inode;
    } else {
        const Place place = find(call.fd, call.path, (call.flags & AT_SYMLINK_NOFOLLOW) == 0);
        if (place.error != 0) return place.error;
        if (place.found == nullptr) return -ENOENT;
        inode = place.found;
    }
    struct statx& status = *call.attributes;
    status = {};
    status.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
    status.stx_mode = static_cast<std::uint16_t>(inode->mode);
    status.stx_ino = inode->number;
    status.stx_nlink = inode->links;
    status.stx_size = inode->contents.size();
    status.stx_blocks = (inode->contents.size() + 511) / 512;
    status.stx_blksize = 4096;
    status.stx_dev_minor = 1;
    status.stx_atime = status.stx_mtime = stamp_of(inode->modified);
    status.stx_ctime = stamp_of(inode->changed);
    status.stx_btime = stamp_of(inode->created);
    return 0;
}

int Disk::set_mode(const char* path, unsigned mode) noexcept {
    const Place place = find(-1, path, true);
    if (place.error != 0) return place.error;
    if (place.found == nullptr) return -ENOENT;
    if (faults.read_only) return -EROFS;
    place.found->mode = (place.found->mode & S_IFMT) | (mode & 07777);
    place.found->changed = agenda_.now();
    tell_found(IN_ATTRIB, name_of(place), *place.found);
    return 0;
}

int Disk::read_link(const char* path, std::string& target) {
    const Place place = find(-1, path, false);
    if (place.error != 0) return place.error;
    if (place.found == nullptr) return -ENOENT;
    if (!place.found->is_symlink()) return -EINVAL;
    target = place.found->contents;
    return 0;
}

int Disk::real_path(const char* path, std::string& real) {
    const Place place = find(-1, path, true);
    if (place.error != 0) return place.error;
    if (place.found == nullptr) return -ENOENT;
    if (place.found->is_directory()) {
        real = path_of(*place.found);
        return 0;
    }
    const std::string above = path_of(*place.directory);
    real = above == "/" ? above + place.name : above + "/" + place.name;
    return 0;
}

int Disk::read_directory(int fd, std::vector<Entry>& entries) {
    const OpenFile* const file = open_file(fd);
    if (file == nullptr) return -EBADF;
    if (!file->inode->is_directory()) return -ENOTDIR;
    if (random_.chance(faults.read_error)) return -EIO;
    for (const auto& [name, inode] : file->inode->names)
        entries.push_back({name, inode->number, static_cast<unsigned char>(IFTODT(inode->mode))});
    random_.shuffle(entries);  // no order is promised
    tell_open(IN_ACCESS, *file);
    return 0;
}

}  // namespace asyncio::testing
