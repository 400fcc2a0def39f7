// SPDX-License-Identifier: MIT
//
// For tests of inotify: a folder, on the real system or on the disk of a simulated host, what can
// be done in it by the calls of os/, and the records that come of it, as words.
#pragma once

#include <asyncio/os/fd.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/os/inotify.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/testing/network.hpp>
#include <asyncio/testing/simulated_inotify.hpp>
#include <asyncio/testing/simulation.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>

namespace asyncio::testing {

using Kind = os::FileCall::Kind;
using Records = std::vector<std::string>;

inline constexpr std::uint32_t kAll = IN_ALL_EVENTS;
inline constexpr std::uint32_t kChanges = IN_ALL_EVENTS & ~(IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE);

/// "moved_to/ name": a slash for directories.
inline std::string text_of(const inotify_event& event, const char* name) {
    static constexpr std::pair<std::uint32_t, const char*> kNames[] = {
        {IN_ACCESS, "access"},
        {IN_MODIFY, "modify"},
        {IN_ATTRIB, "attrib"},
        {IN_CLOSE_WRITE, "close_write"},
        {IN_CLOSE_NOWRITE, "close"},
        {IN_OPEN, "open"},
        {IN_MOVED_FROM, "moved_from"},
        {IN_MOVED_TO, "moved_to"},
        {IN_CREATE, "create"},
        {IN_DELETE, "delete"},
        {IN_DELETE_SELF, "delete_self"},
        {IN_MOVE_SELF, "move_self"},
        {IN_Q_OVERFLOW, "overflow"},
        {IN_IGNORED, "ignored"},
        {IN_ISDIR, "/"},
    };
    std::string text;
    for (const auto& [bit, word] : kNames)
        if ((event.mask & bit) != 0) text += word;
    return text + (event.len == 0 ? "" : " ") + (event.len == 0 ? "" : name);
}

/// A folder, on the disk of a simulated host or on the real one, and an instance.
class WatchedFiles {
  public:
    explicit WatchedFiles(bool simulated) : simulated_(simulated) {
        enter();
        char name[] = "/tmp/asyncio-inotify-XXXXXX";
        if (simulated) {
            os::perform({.kind = Kind::mkdir, .mode = 0777, .path = name});
        } else {
            EXPECT_NE(::mkdtemp(name), nullptr);
        }
        folder_ = name;
        inotify_.reset(os::open_inotify());
    }
    ~WatchedFiles() {
        enter();
        inotify_.reset();
        for (const int fd : open_) os::Fd(fd).reset();
        if (!simulated_) std::filesystem::remove_all(folder_);
        os::simulated_system = nullptr;
    }
    WatchedFiles(const WatchedFiles&) = delete;
    WatchedFiles& operator=(const WatchedFiles&) = delete;

    /// The calls of os/ are its, from now on.
    void enter() noexcept { os::simulated_system = simulated_ ? &host() : nullptr; }

    std::string path(const std::string& name) const { return folder_ + "/" + name; }
    int open(const std::string& name, int flags) {
        const int fd = os::perform(
            {.kind = Kind::open, .flags = flags, .mode = 0666, .path = path(name).c_str()});
        if (fd < 0) return fd;
        open_.push_back(fd);
        return static_cast<int>(open_.size()) - 1;
    }
    int close(int number) {
        return os::perform({.kind = Kind::close, .fd = std::exchange(open_.at(number), -1)});
    }
    int write(int number, std::string text) {
        return os::perform({.kind = Kind::write,
                            .fd = open_.at(number),
                            .memory = text.data(),
                            .size = text.size()});
    }
    int read(int number) {
        char byte = 0;
        return os::perform(
            {.kind = Kind::read, .fd = open_.at(number), .memory = &byte, .size = 1, .offset = 0});
    }
    int truncate(int number) { return os::set_size(open_.at(number), 1); }
    int set_mode(int number, unsigned mode) { return os::set_mode(open_.at(number), mode); }
    int set_mode(const std::string& name, unsigned mode) {
        return os::set_mode(path(name).c_str(), mode);
    }
    int put(const std::string& name) {
        const int file = open(name, O_WRONLY | O_CREAT);
        return file < 0 ? file : write(file, "x") + close(file);
    }
    int mkdir(const std::string& name) {
        return os::perform({.kind = Kind::mkdir, .mode = 0777, .path = path(name).c_str()});
    }
    int unlink(const std::string& name) { return os::remove_file(path(name).c_str()); }
    int rmdir(const std::string& name) {
        return os::perform(
            {.kind = Kind::unlink, .flags = AT_REMOVEDIR, .path = path(name).c_str()});
    }
    int rename(const std::string& from, const std::string& to, int flags = 0) {
        return two_names(Kind::rename, from, to, flags);
    }
    int link(const std::string& from, const std::string& to) {
        return two_names(Kind::link, from, to, 0);
    }
    int symlink(const std::string& target, const std::string& name) {
        return os::perform(
            {.kind = Kind::symlink, .path = target.c_str(), .other = path(name).c_str()});
    }

    int inotify() const { return inotify_.get(); }
    int watch(const std::string& name, std::uint32_t what = kChanges) {
        const int number = os::add_watch(inotify(), path(name).c_str(), what);
        if (number > 0) watched_[number] = name;
        return number;
    }
    /// What has happened since, as "watched: record".
    Records records() {
        Records seen;
        for (;;) {
            alignas(inotify_event) std::byte buffer[4096];
            const std::ptrdiff_t size = os::read_records(inotify(), buffer);
            if (size <= 0) {
                EXPECT_EQ(size, -EAGAIN);
                return seen;
            }
            for (std::ptrdiff_t at = 0; at < size;) {
                inotify_event event;
                std::memcpy(&event, buffer + at, sizeof event);
                at += static_cast<std::ptrdiff_t>(sizeof event + event.len);
                const char* const end = reinterpret_cast<const char*>(buffer + at);
                const auto watched = watched_.find(event.wd);
                seen.push_back((watched == watched_.end() ? "" : watched->second + ": ") +
                               text_of(event, end - event.len));
                note_pair(event, seen.back());
            }
        }
    }
    bool readable() {
        if (simulated_) return (host().readiness(inotify()) & POLLIN) != 0;
        pollfd look = {inotify(), POLLIN, 0};
        return ::poll(&look, 1, 0) == 1;
    }
    NetworkHost& host() {
        static int hosts = 0;
        if (host_ == nullptr) host_ = &network_.add_host("host" + std::to_string(++hosts));
        return *host_;
    }
    Trace trace;

  private:
    int two_names(Kind kind, const std::string& from, const std::string& to, int flags) {
        return os::perform(
            {.kind = kind, .flags = flags, .path = path(from).c_str(), .other = path(to).c_str()});
    }
    /// The halves of a move belong together, and to no other.
    void note_pair(const inotify_event& event, const std::string& text) {
        EXPECT_EQ(event.cookie != 0, (event.mask & IN_MOVE) != 0) << text;
        if ((event.mask & IN_MOVED_FROM) != 0) {
            EXPECT_GT(event.cookie, last_pair_);
        }
        if (event.cookie != 0) last_pair_ = event.cookie;
    }

    Agenda agenda_;
    Network network_{agenda_, Random(1), trace};
    NetworkHost* host_ = nullptr;
    const bool simulated_;
    std::string folder_;
    os::Fd inotify_;
    std::vector<int> open_;
    std::map<int, std::string> watched_;
    std::uint32_t last_pair_ = 0;
};

}  // namespace asyncio::testing
