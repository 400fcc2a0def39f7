// SPDX-License-Identifier: MIT
#include <asyncio/os/directory_reader.hpp>
#include <asyncio/os/simulated.hpp>

#include <cerrno>
#include <memory>
#include <string_view>

#include <dirent.h>

namespace asyncio::os {

struct DirectoryReader::Stream {
    ~Stream() {
        if (real != nullptr) ::closedir(real);
    }

    /// As readdir(): what is there when the first entry is asked for. 0 or -errno.
    int look() {
        if (std::exchange(looked, true)) return 0;
        SimulatedSystem* const system = system_of(simulated.get());
        return system != nullptr ? system->files().read_directory(simulated.get(), entries)
                                 : -EBADF;
    }

    DIR* real = nullptr;
    // Of a simulated one:
    Fd simulated;
    std::vector<SimulatedFiles::Entry> entries;
    std::size_t given = 0;
    bool looked = false;
};

DirectoryReader::~DirectoryReader() { delete stream_; }

int DirectoryReader::begin(Fd directory) {
    auto stream = std::make_unique<Stream>();
    if (is_simulated(directory.get())) {
        stream->simulated = std::move(directory);
    } else {
        stream->real = ::fdopendir(directory.get());
        if (stream->real == nullptr) return -errno;
        (void)directory.release();
    }
    delete std::exchange(stream_, stream.release());
    return 0;
}

int DirectoryReader::fd() const noexcept {
    return stream_->real != nullptr ? ::dirfd(stream_->real) : stream_->simulated.get();
}

int DirectoryReader::next(DirectoryEntry& entry) {
    if (stream_->real == nullptr) {
        const int result = stream_->look();
        if (result < 0) return result;
        if (stream_->given == stream_->entries.size()) return 0;
        const SimulatedFiles::Entry& next = stream_->entries[stream_->given++];
        entry = {next.name.c_str(), next.inode, next.type};
        return 1;
    }
    for (;;) {
        errno = 0;
        const dirent* const found = ::readdir(stream_->real);
        if (found == nullptr) return -errno;
        const std::string_view name = found->d_name;
        if (name == "." || name == "..") continue;
        entry = {found->d_name, found->d_ino, found->d_type};
        return 1;
    }
}

}  // namespace asyncio::os
