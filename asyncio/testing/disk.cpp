// SPDX-License-Identifier: MIT
#include <asyncio/os/file_call.hpp>
#include <asyncio/testing/disk.hpp>
#include <asyncio/testing/simulated_inode.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::testing {

namespace {

using os::FileCall;
using Kind = FileCall::Kind;

constexpr std::int64_t kLargestFile = std::int64_t{1} << 30;

bool may_read(int flags) noexcept { return (flags & O_ACCMODE) != O_WRONLY; }
bool may_write(int flags) noexcept { return (flags & O_ACCMODE) != O_RDONLY; }

bool changes_something(const FileCall& call) noexcept {
    switch (call.kind) {
        case Kind::open:
            return (call.flags & (O_CREAT | O_TRUNC)) != 0 || may_write(call.flags);
        case Kind::close:
        case Kind::read:
        case Kind::sync:
        case Kind::stat:
            return false;
        default:
            return true;
    }
}

}  // namespace

void SimulatedInode::Change::apply_to(std::string& contents_) const {
    if (truncates) return contents_.resize(offset);
    if (contents_.size() < offset + data.size()) contents_.resize(offset + data.size());
    std::memcpy(contents_.data() + offset, data.data(), data.size());
}

Disk::Disk(Agenda& agenda, Random random) : agenda_(agenda), random_(random), root_(nullptr) {
    root_ = &add_inode(S_IFDIR | 0755);
    root_->parent = root_;
    write("/tmp/.", "");
}

Disk::~Disk() = default;

SimulatedInode& Disk::add_inode(unsigned mode) {
    if (inodes_.size() >= many_inodes_) forget_unreachable();
    inodes_.push_back(std::make_unique<Inode>());
    Inode& inode = *inodes_.back();
    inode.number = ++numbers_;
    inode.mode = mode;
    inode.created = inode.modified = inode.changed = agenda_.now();
    return inode;
}

/// Bytes of all files that have a name or are open.
std::uint64_t Disk::used() const noexcept {
    std::uint64_t bytes = 0;
    for (const auto& inode : inodes_) {
        const auto holds = [&](const auto& file) { return file && file->inode == inode.get(); };
        if (inode->links > 0 || std::ranges::any_of(open_, holds)) bytes += inode->contents.size();
    }
    return bytes;
}

// --- calls ---------------------------------------------------------------------------------------

Duration Disk::latency() noexcept {
    if (random_.chance(faults.stall)) return random_.between(Duration(1), faults.longest_stall);
    return random_.between(faults.least_latency, faults.most_latency);
}

/// What goes wrong with it; 0: nothing.
int Disk::fault_of(const FileCall& call) noexcept {
    if (!powered_) return -EIO;
    double probability = faults.name_error;
    switch (call.kind) {
        case Kind::close:
        case Kind::stat:
        case Kind::sync:  // see there
            return 0;
        case Kind::read:
            probability = faults.read_error;
            break;
        case Kind::write:
        case Kind::truncate:
            probability = faults.write_error;
            break;
        default:
            break;
    }
    if (random_.chance(probability)) return -EIO;
    return faults.read_only && changes_something(call) ? -EROFS : 0;
}

int Disk::perform(const FileCall& call) noexcept {
    const int fault = fault_of(call);
    return fault != 0 ? fault : dispatch(call);
}

int Disk::dispatch(const FileCall& call) {
    switch (call.kind) {
        case Kind::open:
            return open(call);
        case Kind::close:
            if (open_file(call.fd) == nullptr) return -EBADF;
            close(call.fd);
            return 0;
        case Kind::read:
            return read(call);
        case Kind::write:
            return write(call);
        case Kind::sync:
            return sync(call);
        case Kind::stat:
            return stat(call);
        case Kind::rename:
            return rename(call);
        case Kind::unlink:
            return unlink(call);
        case Kind::mkdir:
            return make_directory(call);
        case Kind::symlink:
            return make_symlink(call);
        case Kind::link:
            return link(call);
        case Kind::truncate:
            return truncate(call);
    }
    return -EINVAL;
}

// --- open files ----------------------------------------------------------------------------------

Disk::OpenFile* Disk::open_file(int fd) noexcept {
    const auto index = static_cast<std::size_t>(fd - os::kFirstSimulatedFile);
    if (!os::is_simulated_file(fd) || index >= open_.size() || !open_[index]) return nullptr;
    return &*open_[index];
}

/// The lowest number that is free.
int Disk::open_inode(Inode& inode, int flags, std::string_view name, FoundName found) {
    auto place = std::ranges::find_if(open_, [](const auto& taken) { return !taken; });
    if (place == open_.end()) {
        if (open_.size() >= kMostOpenFiles) return -EMFILE;
        place = open_.insert(open_.end(), std::nullopt);
    }
    *place = OpenFile{&inode, flags, 0, std::string(name), std::move(found)};
    tell_open(IN_OPEN, **place);
    if ((flags & O_TRUNC) != 0 && inode.is_file()) {
        if (!inode.contents.empty()) {
            inode.contents.clear();
            inode.unsaved.push_back({.offset = 0, .data = {}, .truncates = true});
            inode.modified = inode.changed = agenda_.now();
        }
        tell_open(IN_MODIFY, **place);
    }
    return os::kFirstSimulatedFile + static_cast<int>(place - open_.begin());
}

void Disk::close(int fd) noexcept {
    const OpenFile* const file = open_file(fd);
    if (file == nullptr) return;
    const OpenFile closed = *file;
    tell_open(may_write(closed.flags) ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE, closed);
    open_[static_cast<std::size_t>(fd - os::kFirstSimulatedFile)] = std::nullopt;
    end_if_gone(*closed.inode, closed.found);
    for (const Inode* held = closed.found.directory; held != nullptr && held != root_;
         held = held->parent)
        end_if_gone(*held, {});
}

std::vector<std::string> Disk::open_files() const {
    std::vector<std::string> files;
    for (std::size_t i = 0; i < open_.size(); ++i)
        if (open_[i]) files.push_back(std::to_string(i) + " (file " + open_[i]->name + ")");
    return files;
}

int Disk::read(const FileCall& call) {
    OpenFile* const file = open_file(call.fd);
    if (file == nullptr || !may_read(file->flags)) return -EBADF;
    if (file->inode->is_directory()) return -EISDIR;
    const std::string& contents = file->inode->contents;
    const auto offset = static_cast<std::size_t>(call.offset < 0 ? file->position : call.offset);
    if (offset >= contents.size() || call.size == 0) return 0;
    std::size_t size = std::min({call.size, FileCall::kLongest, contents.size() - offset});
    if (random_.chance(faults.short_read)) size = 1 + random_.index(size);
    std::memcpy(call.memory, contents.data() + offset, size);
    if (call.offset < 0) file->position += static_cast<std::int64_t>(size);
    tell_open(IN_ACCESS, *file);
    return static_cast<int>(size);
}

int Disk::write(const FileCall& call) {
    OpenFile* const file = open_file(call.fd);
    if (file == nullptr || !may_write(file->flags)) return -EBADF;
    Inode& inode = *file->inode;
    std::int64_t offset = call.offset < 0 ? file->position : call.offset;
    if ((file->flags & O_APPEND) != 0) offset = static_cast<std::int64_t>(inode.contents.size());
    std::size_t size = std::min(call.size, FileCall::kLongest);
    if (size == 0) return 0;
    if (offset + static_cast<std::int64_t>(size) > kLargestFile) return -EFBIG;
    if (random_.chance(faults.short_write)) size = 1 + random_.index(size);
    const std::uint64_t end = static_cast<std::uint64_t>(offset) + size;
    if (end > inode.contents.size()) {
        const std::uint64_t before = used() - inode.contents.size();
        const std::uint64_t room = faults.capacity > before ? faults.capacity - before : 0;
        if (room <= static_cast<std::uint64_t>(offset)) return -ENOSPC;
        size = std::min(size, static_cast<std::size_t>(room - static_cast<std::uint64_t>(offset)));
    }
    inode.unsaved.push_back({.offset = static_cast<std::uint64_t>(offset),
                             .data = std::string(static_cast<const char*>(call.memory), size)});
    inode.unsaved.back().apply_to(inode.contents);
    inode.modified = inode.changed = agenda_.now();
    if (call.offset < 0) file->position = offset + static_cast<std::int64_t>(size);
    write_back(inode);
    tell_open(IN_MODIFY, *file);
    return static_cast<int>(size);
}

int Disk::truncate(const FileCall& call) {
    OpenFile* const file = open_file(call.fd);
    if (file == nullptr || !may_write(file->flags) || call.offset < 0) return -EINVAL;
    if (call.offset > kLargestFile) return -EFBIG;
    Inode& inode = *file->inode;
    inode.unsaved.push_back(
        {.offset = static_cast<std::uint64_t>(call.offset), .data = {}, .truncates = true});
    inode.unsaved.back().apply_to(inode.contents);
    inode.modified = inode.changed = agenda_.now();
    tell_found(IN_MODIFY, file->found, inode);
    return 0;
}

int Disk::sync(const FileCall& call) {
    OpenFile* const file = open_file(call.fd);
    if (file == nullptr) return -EBADF;
    Inode& inode = *file->inode;
    if (random_.chance(faults.sync_error)) {
        give_up_some(inode);
        return -EIO;
    }
    if (inode.is_directory()) {
        save_names(inode);
        return 0;
    }
    for (const Inode::Change& change : inode.unsaved) change.apply_to(inode.saved);
    inode.unsaved.clear();
    return 0;
}

std::int64_t Disk::seek(int fd, std::int64_t offset, int whence) noexcept {
    OpenFile* const file = open_file(fd);
    if (file == nullptr) return -EBADF;
    if (whence == SEEK_CUR) offset += file->position;
    if (whence == SEEK_END) offset += static_cast<std::int64_t>(file->inode->contents.size());
    if (offset < 0) return -EINVAL;
    return file->position = offset;
}

int Disk::open_flags(int fd) noexcept {
    const OpenFile* const file = open_file(fd);
    return file == nullptr ? -EBADF : file->flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC);
}

int Disk::set_mode(int fd, unsigned mode) noexcept {
    OpenFile* const file = open_file(fd);
    if (file == nullptr) return -EBADF;
    if (faults.read_only) return -EROFS;
    file->inode->mode = (file->inode->mode & S_IFMT) | (mode & 07777);
    file->inode->changed = agenda_.now();
    tell_found(IN_ATTRIB, file->found, *file->inode);
    return 0;
}

}  // namespace asyncio::testing
