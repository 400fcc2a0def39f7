// SPDX-License-Identifier: MIT
#include <asyncio/file/directory.hpp>
#include <asyncio/file/fs.hpp>
#include <asyncio/file/on_thread.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/shield.hpp>

#include <algorithm>
#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::fs {

namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};
using OpenDirectory = std::unique_ptr<DIR, CloseDirectory>;

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

OpenDirectory open_directory(const std::string& path) {
    OpenDirectory directory(::opendir(path.c_str()));
    if (directory == nullptr) os::throw_system_error(errno, "scandir " + path);
    return directory;
}

/// Null at the end.
const dirent* read_entry(DIR& directory, const std::string& path) {
    for (;;) {
        errno = 0;
        const dirent* found = ::readdir(&directory);
        if (found == nullptr && errno != 0) os::throw_system_error(errno, "scandir " + path);
        if (found == nullptr) return nullptr;
        const std::string_view name = found->d_name;
        if (name != "." && name != "..") return found;
    }
}

std::vector<DirEntry> read_batch(DIR& directory, const std::string& path) {
    std::vector<DirEntry> entries;
    while (entries.size() < Directory::kBatch) {
        const dirent* found = read_entry(directory, path);
        if (found == nullptr) break;
        entries.push_back(DirEntry{.name = found->d_name,
                                   .path = path + (path.ends_with('/') ? "" : "/") + found->d_name,
                                   .inode = found->d_ino,
                                   .type = type_of(found->d_type)});
    }
    return entries;
}

std::vector<std::string> read_names(const std::string& path) {
    const OpenDirectory directory = open_directory(path);
    std::vector<std::string> names;
    while (const dirent* found = read_entry(*directory, path)) names.emplace_back(found->d_name);
    return names;
}

/// Removes a tree, without following links. However deep it is, two descriptors are enough: the way
/// back up is "..", and must lead to where we came from.
class TreeRemoval {
  public:
    explicit TreeRemoval(const std::string& root)
        : path_(root),
          here_(take(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC))) {}

    void run() {
        for (;;) {
            while (const dirent* found = read_entry(*here_, path_)) remove(found->d_name);
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

    [[noreturn]] void fail(const std::string& path) const {
        os::throw_system_error(errno, "rmtree " + path);
    }

    OpenDirectory take(int fd) const {
        if (fd < 0) fail(path_);
        OpenDirectory directory(::fdopendir(fd));
        if (directory == nullptr) {
            const os::Fd close(fd);
            fail(path_);
        }
        return directory;
    }

    struct stat status() const {
        struct stat result = {};
        if (::fstat(::dirfd(here_.get()), &result) != 0) fail(path_);
        return result;
    }

    /// A file goes; a directory is entered.
    void remove(const char* name) {
        if (::unlinkat(::dirfd(here_.get()), name, 0) == 0) return;
        if (errno != EISDIR && errno != EPERM) fail(path_ + "/" + name);
        const struct stat parent = status();
        const int child =
            ::openat(::dirfd(here_.get()), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0) fail(path_ + "/" + name);
        above_.push_back({name, path_.size(), parent.st_dev, parent.st_ino});
        path_ += "/";
        path_ += above_.back().name;
        here_ = take(child);
    }

    /// Out of an empty directory, which goes; the one above is read from its beginning.
    void go_up() {
        const Place place = std::move(above_.back());
        above_.pop_back();
        const int parent = ::openat(::dirfd(here_.get()), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        here_ = take(parent);
        const struct stat found = status();
        errno = EBUSY;  // somebody moved it away under us
        if (found.st_dev != place.device || found.st_ino != place.inode) fail(path_);
        if (::unlinkat(parent, place.name.c_str(), AT_REMOVEDIR) != 0) fail(path_);
        path_.resize(place.path_size);
    }

    std::string path_;  // of `here_`, for errors
    OpenDirectory here_;
    std::vector<Place> above_;  // from the root to here
};

void remove_tree(const std::string& path) {
    TreeRemoval(path).run();
    if (::rmdir(path.c_str()) != 0) os::throw_system_error(errno, "rmtree " + path);
}

WalkStep read_step(std::string path) {
    WalkStep step{.path = std::move(path), .directories = {}, .files = {}};
    const OpenDirectory directory = open_directory(step.path);
    while (const dirent* found = read_entry(*directory, step.path)) {
        bool is_directory = found->d_type == DT_DIR;
        if (found->d_type == DT_UNKNOWN) {
            struct stat status = {};
            is_directory = ::fstatat(::dirfd(directory.get()), found->d_name, &status,
                                     AT_SYMLINK_NOFOLLOW) == 0 &&
                           S_ISDIR(status.st_mode);
        }
        (is_directory ? step.directories : step.files).emplace_back(found->d_name);
    }
    return step;
}

}  // namespace

/// Shared with the thread that reads: it may still read when nobody waits any more. A batch that a
/// cancelled next() asked for stays here for the following one.
struct Directory::Stream {
    std::string path;
    OpenDirectory directory;
    std::vector<DirEntry> batch;
    std::size_t given = 0;
    bool ended = false;
    ConcurrentFuture<> reading;  // in progress, or empty

    void read() {
        batch = read_batch(*directory, path);
        given = 0;
        ended = batch.empty();
    }
};

namespace {

Coro<std::optional<DirEntry>> next_entry(std::shared_ptr<Directory::Stream> stream) {
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
    auto stream = std::make_shared<Directory::Stream>();
    stream->path = path;
    auto open = [path] { return open_directory(path); };
    stream->directory = co_await file::on_thread(std::move(open));
    co_return Directory(std::move(stream));
}

}  // namespace

Directory::Directory(std::shared_ptr<Stream> stream) noexcept : stream_(std::move(stream)) {}
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
    if (step_) {
        const std::string& above = step_->path;
        for (auto name = step_->directories.rbegin(); name != step_->directories.rend(); ++name)
            todo_.push_back(above + (above.ends_with('/') ? "" : "/") + *name);
        step_.reset();
    }
    while (!step_ && !todo_.empty()) {
        auto look = [path = todo_.back()]() mutable { return read_step(std::move(path)); };
        Outcome<WalkStep> read = co_await as_outcome(file::on_thread(std::move(look)));
        if (read.cancelled()) read.value();  // todo_ is as it was
        todo_.pop_back();
        if (read) step_ = std::move(*read);
    }
    co_return step_ ? &*step_ : nullptr;
}

Walk walk(std::string_view root) { return Walk(file::checked_path(root)); }

ASYNCIO_CORO_WRAPPER Coro<> rmtree(std::string_view path) {
    return file::on_thread([path = file::checked_path(path)] { remove_tree(path); });
}

}  // namespace asyncio::fs
