// SPDX-License-Identifier: MIT
#include <asyncio/file/directory.hpp>
#include <asyncio/file/fs.hpp>
#include <asyncio/file/on_thread.hpp>
#include <asyncio/os/directory_reader.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/shield.hpp>

#include <algorithm>
#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace asyncio::fs {

namespace {

using os::DirectoryReader;

DirEntry::Type type_of(unsigned char type) noexcept {
    switch (type) {
        case DT_REG:
            return DirEntry::Type::file;
        case DT_DIR:
            return DirEntry::Type::directory;
        case DT_LNK:
            return DirEntry::Type::symlink;
        case DT_UNKNOWN:
            return DirEntry::Type::unknown;
        default:
            return DirEntry::Type::other;
    }
}

os::Fd open_at(int above, const char* name, int flags, const std::string& path, const char* call) {
    const int fd = os::perform({.kind = os::FileCall::Kind::open,
                                .fd = above,
                                .flags = flags | O_RDONLY | O_DIRECTORY,
                                .path = name});
    return os::Fd(file::check(fd, call, path));
}

DirectoryReader reader_of(os::Fd directory, const std::string& path, const char* call) {
    DirectoryReader reader;
    file::check(reader.begin(std::move(directory)), call, path);
    return reader;
}

DirectoryReader open_directory(const std::string& path) {
    return reader_of(open_at(AT_FDCWD, path.c_str(), 0, path, "scandir"), path, "scandir");
}

/// False at the end.
bool read_entry(DirectoryReader& directory, const std::string& path, os::DirectoryEntry& entry) {
    return file::check(directory.next(entry), "scandir", path) > 0;
}

std::vector<DirEntry> read_batch(DirectoryReader& directory, const std::string& path) {
    std::vector<DirEntry> entries;
    os::DirectoryEntry found;
    while (entries.size() < Directory::kBatch && read_entry(directory, path, found))
        entries.push_back(DirEntry{.name = found.name,
                                   .path = path + (path.ends_with('/') ? "" : "/") + found.name,
                                   .inode = found.inode,
                                   .type = type_of(found.type)});
    return entries;
}

std::vector<std::string> read_names(const std::string& path) {
    DirectoryReader directory = open_directory(path);
    std::vector<std::string> names;
    for (os::DirectoryEntry found; read_entry(directory, path, found);)
        names.emplace_back(found.name);
    return names;
}

/// Removes a tree, without following links. However deep it is, two descriptors are enough: the way
/// back up is "..", and must lead to where we came from.
class TreeRemoval {
  public:
    explicit TreeRemoval(const std::string& root)
        : path_(root), here_(enter(AT_FDCWD, root.c_str(), O_NOFOLLOW, root)) {}

    void run() {
        for (;;) {
            for (os::DirectoryEntry found; read_entry(here_, path_, found);) remove(found.name);
            if (above_.empty()) return;
            go_up();
        }
    }

  private:
    struct Place {
        std::string name;  // of the directory we went into
        std::size_t path_size;
        dev_t device;
        ino_t inode;
    };

    static DirectoryReader enter(int above, const char* name, int flags, const std::string& path) {
        return reader_of(open_at(above, name, flags, path, "rmtree"), path, "rmtree");
    }

    static int unlink_at(int directory, const char* name, int flags) noexcept {
        return os::perform(
            {.kind = os::FileCall::Kind::unlink, .fd = directory, .flags = flags, .path = name});
    }

    struct stat status() const {
        struct stat result = {};
        file::check(os::file_status(here_.fd(), result), "rmtree", path_);
        return result;
    }

    /// A file goes; a directory is entered.
    void remove(const char* name) {
        const int result = unlink_at(here_.fd(), name, 0);
        if (result == 0) return;
        const std::string path = path_ + "/" + name;
        if (result != -EISDIR && result != -EPERM) file::check(result, "rmtree", path);
        const struct stat parent = status();
        DirectoryReader child = enter(here_.fd(), name, O_NOFOLLOW, path);
        above_.push_back({name, path_.size(), parent.st_dev, parent.st_ino});
        path_ = path;
        here_ = std::move(child);
    }

    /// Out of an empty directory, which goes; the one above is read from its beginning.
    void go_up() {
        const Place place = std::move(above_.back());
        above_.pop_back();
        here_ = enter(here_.fd(), "..", 0, path_);
        const struct stat found = status();
        if (found.st_dev != place.device || found.st_ino != place.inode)
            file::check(-EBUSY, "rmtree", path_);  // somebody moved it away under us
        file::check(unlink_at(here_.fd(), place.name.c_str(), AT_REMOVEDIR), "rmtree", path_);
        path_.resize(place.path_size);
    }

    std::string path_;  // of `here_`, for errors
    DirectoryReader here_;
    std::vector<Place> above_;  // from the root to here
};

void remove_tree(const std::string& path) {
    TreeRemoval(path).run();
    file::check(
        os::perform(
            {.kind = os::FileCall::Kind::unlink, .flags = AT_REMOVEDIR, .path = path.c_str()}),
        "rmtree", path);
}

/// For a file system that does not tell the type with the name.
bool is_directory_at(const DirectoryReader& directory, const char* name) noexcept {
    struct statx found = {};
    return os::perform({.kind = os::FileCall::Kind::stat,
                        .fd = directory.fd(),
                        .flags = AT_SYMLINK_NOFOLLOW,
                        .path = name,
                        .attributes = &found}) == 0 &&
           S_ISDIR(found.stx_mode);
}

WalkStep read_step(std::string path) {
    WalkStep step{.path = std::move(path), .directories = {}, .files = {}};
    DirectoryReader directory = open_directory(step.path);
    for (os::DirectoryEntry found; read_entry(directory, step.path, found);) {
        bool is_directory = found.type == DT_DIR;
        if (found.type == DT_UNKNOWN) is_directory = is_directory_at(directory, found.name);
        (is_directory ? step.directories : step.files).emplace_back(found.name);
    }
    return step;
}

}  // namespace

/// Shared with the thread that reads: it may still read when nobody waits any more. A batch that a
/// cancelled next() asked for stays here for the following one.
struct Directory::Stream {
    std::string path;
    DirectoryReader directory;
    std::vector<DirEntry> batch;
    std::size_t given = 0;
    bool ended = false;
    ConcurrentFuture<> reading;  // in progress, or empty

    void read() {
        batch = read_batch(directory, path);
        given = 0;
        ended = batch.empty();
    }
};

namespace {

Coro<std::optional<DirEntry>> next_entry(Shared<Directory::Stream> stream) {
    std::optional<DirEntry> entry;
    if (!stream->reading.valid() && stream->given == stream->batch.size() && !stream->ended)
        stream->reading = file::threads().submit([stream] { stream->read(); });
    if (stream->reading.valid()) {
        // Not to be cancelled: entries it has taken from the system would be lost.
        while (!stream->reading.done()) co_await shield(wrap_future(stream->reading));
        const ConcurrentFuture<> finished = std::exchange(stream->reading, ConcurrentFuture<>());
        finished.result();
    }
    if (stream->given < stream->batch.size()) entry = std::move(stream->batch[stream->given++]);
    co_return entry;
}

Coro<Directory> scan(std::string path) {
    auto stream = Shared<Directory::Stream>::make();
    stream->path = path;
    auto open = [path] { return open_directory(path); };
    stream->directory = co_await file::on_thread(std::move(open));
    co_return Directory(std::move(stream));
}

}  // namespace

Directory::Directory(Shared<Stream> stream) noexcept : stream_(std::move(stream)) {}
Directory::Directory(Directory&&) noexcept = default;
Directory& Directory::operator=(Directory&&) noexcept = default;
Directory::~Directory() = default;

ASYNCIO_CORO_WRAPPER Coro<std::optional<DirEntry>> Directory::next() { return next_entry(stream_); }

ASYNCIO_CORO_WRAPPER Coro<Directory> scandir(std::string_view path) {
    return scan(file::checked_path(path));
}

ASYNCIO_CORO_WRAPPER Coro<std::vector<std::string>> listdir(std::string_view path) {
    return file::on_thread([path = file::checked_path(path)] { return read_names(path); });
}

Walk::Walk(std::string root) { todo_.push_back(std::move(root)); }

Coro<WalkStep*> Walk::next() {
    if (std::exchange(has_step_, false)) {
        const std::string& above = step_.path;
        for (auto name = step_.directories.rbegin(); name != step_.directories.rend(); ++name)
            todo_.push_back(above + (above.ends_with('/') ? "" : "/") + *name);
    }
    while (!has_step_ && !todo_.empty()) {
        auto look = [path = todo_.back()]() mutable { return read_step(std::move(path)); };
        Outcome<WalkStep> read = co_await as_outcome(file::on_thread(std::move(look)));
        if (read.cancelled()) read.value();  // todo_ is as it was
        todo_.pop_back();
        if (!read) continue;
        step_ = std::move(*read);
        has_step_ = true;
    }
    co_return has_step_ ? &step_ : nullptr;
}

Walk walk(std::string_view root) { return Walk(file::checked_path(root)); }

ASYNCIO_CORO_WRAPPER Coro<> rmtree(std::string_view path) {
    return file::on_thread([path = file::checked_path(path)] { remove_tree(path); });
}

}  // namespace asyncio::fs
