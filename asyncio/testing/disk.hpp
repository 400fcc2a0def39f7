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
// What happens is told to the host's inotify instances (simulated_inotify.hpp), at once and in its
// order, as Linux does: a look at what is not saved. What a loss of power changes is told to
// nobody, as they are gone, too.
//
// Not here: FIFOs, devices, sockets, times of access, users, extended attributes, locks.
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

struct DiskEvent;
class SimulatedInotify;
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

    // --- for its inotify instances ---------------------------------------------------------

    void begin_to_tell(SimulatedInotify& watcher);
    void end_telling(SimulatedInotify& watcher) noexcept;
    std::size_t watchers() const noexcept { return watchers_.size(); }
    /// Where `path` leads; null, with -errno in `error`: nowhere.
    const SimulatedInode* find_inode(const char* path, bool follow, int& error);
    bool loses_record() noexcept { return random_.chance(faults.watch_overflow); }

  private:
    using Inode = SimulatedInode;
    /// Where a path leads.
    struct Place {
        Inode* directory = nullptr;  // of the last name
        std::string name;            // the last name
        Inode* found = nullptr;      // what is there now
        int error = 0;               // -errno: there is no such place
        bool wants_directory = false;
    };
    /// The name by which a file was opened or found, through renames.
    struct FoundName {
        Inode* directory = nullptr;  // null: it is "/"
        std::string name;
        std::uint64_t removal = 0;  // not 0: it has been removed, by that one of all

        bool operator==(const FoundName&) const = default;
        bool is(const Place& place) const noexcept;
    };
    struct OpenFile {
        Inode* inode;
        int flags;
        std::int64_t position;
        std::string name;  // as it was opened
        FoundName found;
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
    int open_inode(Inode& inode, int flags, std::string_view name, FoundName found);
    int rename(const os::FileCall& call);
    int rename_onto(Place& from, Place& to, int flags);
    int unlink(const os::FileCall& call);
    int make(const Place& place, unsigned mode, std::string target);
    int make_directory(const os::FileCall& call);
    int make_symlink(const os::FileCall& call);
    int link(const os::FileCall& call);
    int stat(const os::FileCall& call);
    void change_names(std::vector<NewName> names);

    // disk_events.cpp
    static FoundName name_of(const Place& place);
    FoundName remove_found(const Place& place);
    void exchange_found(const Place& a, const Place& b);
    void tell(const DiskEvent& event);
    void tell_name(std::uint32_t what, const Place& place, const Inode& inode,
                   std::uint32_t pair = 0);
    void tell_inode(std::uint32_t what, const Inode& inode);
    void tell_found(std::uint32_t what, const FoundName& found, const Inode& inode,
                    bool is_open = false);
    void tell_open(std::uint32_t what, const OpenFile& file);
    void tell_move(const Place& from, const Place& to, const Inode* replaced);
    bool is_held(const Inode& inode, const FoundName& by) const noexcept;
    void end_if_gone(const Inode& inode, const FoundName& last);

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
    std::vector<SimulatedInotify*> watchers_;
    std::uint32_t moves_ = 0;  // so far
    std::uint64_t removals_ = 0;
};

}  // namespace asyncio::testing
