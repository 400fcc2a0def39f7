// SPDX-License-Identifier: MIT
//
// Disk: the files of a simulated host, in memory: names, links and symbolic links, with POSIX's
// rules, and what is left of them after a loss of power. "/" and "/tmp" are there from the
// beginning, and "/" is the working directory; everybody may do everything (no permissions).
//
// Each file has two states: what programs see, and what is on the disk. Between them lies what is
// not saved yet:
//
//     write, truncate  ---> a file's changes, in their order   --fsync of the file------> saved
//     create, rename,
//     link, remove ...  --> changes of names, in their order   --fsync of the directory--> saved
//
// A file's fsync saves its bytes and not its name: that is the directory's (fs::sync_directory()).
// A rename is one change, also between two directories, which an fsync of either saves; so is each
// other call. What an fsync of a directory saves brings along earlier changes of the same names.
//
// lose_power() decides the fate of everything that is not saved. The seed chooses: none of it
// survives, all of it, the first part of each list, or any of it; a write that survives may be torn
// (its first bytes only; or its length, with zeros in place of the bytes). Nothing that was saved
// is ever lost, and no more is promised: no sector is whole, and no order holds between two files.
//
// A failed fsync (DiskFaults::sync_error) is Linux's: each change that was to be saved is saved or
// given up, programs go on to see it, and the next fsync succeeds without it. So a program that
// wants its data has to write it again, best to another file, after a failed fsync.
//
// Not here: FIFOs, devices, sockets, times of access, users, extended attributes, locks, inotify.
//
// Threads: of the simulation.
#pragma once

#include <asyncio/os/simulated.hpp>
#include <asyncio/testing/agenda.hpp>
#include <asyncio/testing/disk_faults.hpp>
#include <asyncio/testing/random.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::testing {

struct SimulatedInode;

class Disk final : public os::SimulatedFiles {
  public:
    static constexpr std::size_t kMostOpenFiles = 10'000;  // then EMFILE
    static constexpr std::size_t kLongestName = 255;       // then ENAMETOOLONG
    static constexpr std::ptrdiff_t kMostUnsaved = 1000;   // changes; then the oldest are saved
    static constexpr int kMostLinks = 40;                  // symbolic, in one path; then ELOOP

    Disk(Agenda& agenda, Random random);
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;
    ~Disk() override;

    DiskFaults faults;

    // --- for worlds ------------------------------------------------------------------------
    // At once, without faults, also while the host has no power.

    /// What programs see; nullopt if there is no such file.
    std::optional<std::string> read(std::string_view path);
    /// What was saved of it; nullopt: its name was not.
    std::optional<std::string> read_saved(std::string_view path);
    /// Make or replace a file, with the directories above it, and save all of that.
    void write(std::string_view path, std::string_view contents);
    /// The names in a directory; empty if there is none.
    std::vector<std::string> list(std::string_view path);

    // --- the calls of os/ ------------------------------------------------------------------

    int perform(const os::FileCall& call) noexcept override;
    std::int64_t seek(int fd, std::int64_t offset, int whence) noexcept override;
    int open_flags(int fd) noexcept override;
    int set_mode(int fd, unsigned mode) noexcept override;
    int set_mode(const char* path, unsigned mode) noexcept override;
    int read_link(const char* path, std::string& target) override;
    int real_path(const char* path, std::string& real) override;
    int read_directory(int fd, std::vector<Entry>& entries) override;

    // --- for its host ----------------------------------------------------------------------

    /// How long the next call takes.
    Duration latency() noexcept;
    void close(int fd) noexcept;
    void lose_power();
    void get_power() noexcept { powered_ = true; }
    /// As "1 (file notes.txt)".
    std::vector<std::string> open_files() const;

  private:
    using Inode = SimulatedInode;
    struct OpenFile {
        Inode* inode;
        int flags;
        std::int64_t position;
        std::string name;  // as it was opened
    };
    /// Where a path leads.
    struct Place {
        Inode* directory = nullptr;  // of the last name
        std::string name;            // the last name
        Inode* found = nullptr;      // what is there now
        int error = 0;               // -errno: there is no such place
        bool wants_directory = false;
    };
    /// `now` takes the place of what `name` in `directory` was.
    struct NewName {
        Inode* directory;
        std::string name;
        Inode* now;  // null: nothing
    };
    struct NameChange {
        std::vector<NewName> names;
        bool touches(const Inode* directory) const noexcept;
        bool overlaps(const NameChange& other) const noexcept;
    };
    enum class Fate : std::uint8_t { lost, kept, first_part, any };

    // disk_names.cpp
    static Place nowhere(int error);
    Place find(int fd, std::string_view path, bool follow);
    Place walk(Inode* from, std::string_view path, bool follow, int links);
    std::string path_of(const Inode& directory) const;
    int open(const os::FileCall& call);
    int open_place(const os::FileCall& call, Place& place);
    int open_inode(Inode& inode, int flags, std::string_view name);
    int rename(const os::FileCall& call);
    int rename_onto(Place& from, Place& to, int flags);
    int unlink(const os::FileCall& call);
    int make(const Place& place, unsigned mode, std::string target);
    int make_directory(const os::FileCall& call);
    int make_symlink(const os::FileCall& call);
    int link(const os::FileCall& call);
    int stat(const os::FileCall& call);
    void change_names(std::vector<NewName> names);

    // disk.cpp
    int dispatch(const os::FileCall& call);
    int fault_of(const os::FileCall& call) noexcept;
    OpenFile* open_file(int fd) noexcept;
    Inode& add_inode(unsigned mode);
    std::uint64_t used() const noexcept;
    int read(const os::FileCall& call);
    int write(const os::FileCall& call);
    int truncate(const os::FileCall& call);
    int sync(const os::FileCall& call);

    // disk_power.cpp
    void save_names(const Inode& directory);
    static void save(const NameChange& change);
    void write_back(Inode& inode);
    void give_up_some(Inode& inode);
    Fate draw_fate() noexcept;
    void settle_names();
    void settle_contents(Inode& inode);
    void forget_unreachable();

    Agenda& agenda_;
    Random random_;
    bool powered_ = true;
    std::uint64_t numbers_ = 0;
    std::vector<std::unique_ptr<Inode>> inodes_;
    std::size_t many_inodes_ = 64;  // then those that nobody can reach are looked for
    Inode* root_;
    std::vector<std::optional<OpenFile>> open_;
    std::vector<NameChange> unsaved_names_;  // in their order
};

}  // namespace asyncio::testing
