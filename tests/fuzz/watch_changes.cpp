// SPDX-License-Identifier: MIT
//
// InotifyChanges: records of any bytes (torn, too long, names without an end) are read within
// their memory; and records as the system writes them, against the changes that a script of the
// same events tells: each under its path, pairs with one number, `gone` once and last, also when
// it came before the path was known; and which numbers are watched for nobody.
//
// covers: file/inotify_changes.hpp file/inotify_changes.cpp
#include <asyncio/file/inotify_changes.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include <sys/inotify.h>

#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

using file::InotifyChanges;
using fs::Change;
using Kind = Change::Kind;
using std::size_t;

constexpr size_t kPaths = 4;  // numbered 1 to 4

std::string path_of(int number) { return "/watched/" + std::to_string(number); }

/// In memory of exactly that size.
void read_exactly(InotifyChanges& changes, std::string_view records, size_t behind = 0) {
    const auto memory = std::make_unique<std::byte[]>(records.size());
    std::memcpy(memory.get(), records.data(), records.size());
    changes.read({memory.get(), records.size()}, behind);
}

std::string head(int number, std::uint32_t mask, std::uint32_t cookie, size_t room) {
    inotify_event event = {};
    event.wd = number;
    event.mask = mask;
    event.cookie = cookie;
    event.len = static_cast<std::uint32_t>(room);
    return std::string(reinterpret_cast<const char*>(&event), sizeof event);
}

bool is_move(Kind kind) { return kind == Kind::moved_from || kind == Kind::moved_to; }

/// What holds for every change, and for those before it.
void check_form(const Change& change, std::set<std::string>& gone) {
    const bool is_nameless = change.kind == Kind::overflow || change.kind == Kind::gone;
    FUZZ_CHECK(!is_nameless || (change.name.empty() && !change.is_dir));
    FUZZ_CHECK(change.pair == 0 || is_move(change.kind));
    FUZZ_CHECK(change.name.find('\0') == std::string::npos);
    FUZZ_CHECK(change.watched.empty() == (change.kind == Kind::overflow));
    FUZZ_CHECK(change.path().starts_with(change.watched));
    FUZZ_CHECK(!gone.contains(change.watched));
    if (change.kind == Kind::gone) gone.insert(change.watched);
}

void any_bytes(Input& input) {
    InotifyChanges changes;
    const size_t known = input.below(kPaths + 1);
    for (size_t i = 1; i <= known; ++i)
        changes.add(static_cast<int>(i), path_of(static_cast<int>(i)));
    const std::string_view records = input.rest();
    read_exactly(changes, records);
    std::set<std::string> gone;
    size_t count = 0;
    bool overflow = false;
    for (; !changes.empty(); ++count) {
        const Change change = changes.take();
        check_form(change, gone);
        FUZZ_CHECK(records.find(change.name) != records.npos);
        overflow |= change.kind == Kind::overflow;
    }
    FUZZ_CHECK(gone.size() + changes.paths().size() == known);
    FUZZ_CHECK(overflow == changes.take_lost() && !changes.take_lost());
    const size_t whole = records.size() / sizeof(inotify_event);
    FUZZ_CHECK(changes.take_unwanted().size() <= whole && count <= 8 * whole + 1);
}

/// A queue that is read in pieces: all changes in their order, and for each overflow one behind
/// what was in the queue when it was read, or one for several.
class Queue {
  public:
    explicit Queue(Input& input) : input_(input) { changes_.add(1, path_of(1)); }

    void run() {
        while (!input_.empty()) {
            const size_t kind = input_.below(4);
            if (kind == 0)
                queued_.push_back({});
            else if (kind < 3)
                queued_.push_back(std::to_string(last_queued_++));
            else
                read(input_.below(5));
        }
        while (!queued_.empty()) read(queued_.size());
        read(0);
        FUZZ_CHECK(last_told_ == last_queued_);
        FUZZ_CHECK(due_.empty());
    }

  private:
    static std::string record_of(const std::string& name) {
        if (name.empty()) return head(-1, IN_Q_OVERFLOW, 0, 0);
        return head(1, IN_CREATE, 0, 16) + name + std::string(16 - name.size(), '\0');
    }

    void read(size_t count) {
        if (queued_.empty()) changes_.run_dry();
        std::string records;
        bool overflow = false;
        for (; count > 0 && !queued_.empty(); --count) {
            overflow |= queued_.front().empty();
            records += record_of(queued_.front());
            queued_.pop_front();
        }
        size_t behind = 0;
        for (const std::string& name : queued_) behind += record_of(name).size();
        if (overflow) due_.push_back(last_queued_);
        overflows_ += overflow ? 1 : 0;
        if (!records.empty()) read_exactly(changes_, records, behind);
        while (!changes_.empty()) take(changes_.take());
    }
    void take(const Change& change) {
        if (change.kind == Kind::overflow) {
            FUZZ_CHECK(--overflows_ >= 0);
            std::erase_if(due_, [&](int due) { return due <= last_told_; });
        } else {
            FUZZ_CHECK(change.name == std::to_string(last_told_++));
        }
    }

    Input& input_;
    InotifyChanges changes_;
    std::deque<std::string> queued_;  // names; empty: an overflow
    int last_queued_ = 0;
    int last_told_ = 0;
    std::deque<int> due_;  // of overflows: to be told behind so many changes
    int overflows_ = 0;    // that were read, less those that were told
};

/// The system's side: what it writes, and what has to become of it.
class Script {
  public:
    explicit Script(Input& input) : input_(input) {}

    void run() {
        while (!input_.empty()) {
            step();
            if (input_.below(3) == 0) deliver();
            check();
        }
        deliver();
        check();
        FUZZ_CHECK(!changes_.take_lost() || lost_);
    }

  private:
    void step() {
        switch (input_.below(8)) {
            case 0:
                return begin_add();
            case 1:
                return end_add();
            case 2:
                return record(wanted_number(), IN_IGNORED, "", 0);
            case 3:
                return record(-1, IN_Q_OVERFLOW, "", 0);
            case 4:
                return record(wanted_number(), IN_MOVE_SELF, "", 0);
            case 5:
                return torn();
            case 6:
                return changes_.end(wanted_number()), end_in_model(last_number_);
            default:
                return change();
        }
    }

    /// The system has a number for it, whose records may be read before we know it.
    void begin_add() {
        if (adding_ || next_number_ > 30) return;
        adding_.emplace(changes_);
        added_ = next_number_++;
        ended_early_ = false;
    }
    void end_add() {
        if (!adding_) return;
        deliver();
        changes_.add(added_, path_of(added_));
        if (ended_early_)
            expected_.push_back({.kind = Kind::gone, .watched = path_of(added_), .name = {}});
        else
            model_.insert(added_);
        adding_.reset();
    }

    int wanted_number() {
        // One of those known, one being added, or of nobody.
        return last_number_ = static_cast<int>(input_.below(static_cast<size_t>(next_number_) + 2));
    }

    void change() {
        static constexpr std::pair<std::uint32_t, Kind> kKinds[] = {
            {IN_CREATE, Kind::created},      {IN_MODIFY, Kind::modified},
            {IN_CLOSE_WRITE, Kind::written}, {IN_ATTRIB, Kind::attributes},
            {IN_DELETE, Kind::removed},      {IN_MOVED_FROM, Kind::moved_from},
            {IN_MOVED_TO, Kind::moved_to},   {IN_DELETE_SELF, Kind::overflow},
            {IN_UNMOUNT, Kind::overflow},
        };
        const auto [bit, kind] = kKinds[input_.below(std::size(kKinds))];
        const std::uint32_t directory = input_.chance() ? IN_ISDIR : 0;
        const std::string name(input_.text(input_.below(20)));
        const std::uint32_t cookie = is_move(kind) ? 1 + input_.byte() % 3 : 0;
        record(wanted_number(), bit | directory, name.substr(0, name.find('\0')), cookie);
    }

    void record(int number, std::uint32_t mask, const std::string& name, std::uint32_t cookie) {
        // The system fills up names; nothing relies on the NUL at their end.
        const size_t room = name.empty() ? 0 : name.size() + input_.below(16);
        written_ += head(number, mask, cookie, room) + name;
        written_.append(room - name.size(), '\0');
        told_.push_back({number, mask, name, cookie});
    }

    /// A record of which a part is missing, after which nothing comes that counts.
    void torn() {
        if (written_.empty()) return;
        const std::string record = head(1, IN_CREATE, 0, 200) + "torn";
        written_ += record.substr(0, 1 + input_.below(record.size()));
        overflowed_ = true;
        deliver();
    }

    void deliver() {
        const std::vector<Told> told = std::exchange(told_, {});
        read_exactly(changes_, std::exchange(written_, {}));
        std::vector<int> unwanted;
        for (const Told& one : told) tell(one, unwanted);
        if (std::exchange(overflowed_, false)) {  // behind what was read with it
            expected_.push_back(Change{});
            lost_ = true;
        }
        FUZZ_CHECK(changes_.take_unwanted() == unwanted);
    }

    struct Told {
        int number;
        std::uint32_t mask;
        std::string name;
        std::uint32_t cookie;
    };

    void tell(const Told& one, std::vector<int>& unwanted) {
        if (one.mask == IN_Q_OVERFLOW) {
            overflowed_ = true;
            return;
        }
        const bool nobodys = !model_.contains(one.number) && !adding_ && one.mask != IN_IGNORED;
        if ((one.mask == IN_MOVE_SELF || nobodys) && std::ranges::count(unwanted, one.number) == 0)
            unwanted.push_back(one.number);
        if (one.mask == IN_IGNORED) {
            if (adding_ && one.number == added_) ended_early_ = true;
            return end_in_model(one.number);
        }
        static const std::map<std::uint32_t, Kind> kinds = {
            {IN_CREATE, Kind::created},      {IN_MODIFY, Kind::modified},
            {IN_CLOSE_WRITE, Kind::written}, {IN_ATTRIB, Kind::attributes},
            {IN_DELETE, Kind::removed},      {IN_MOVED_FROM, Kind::moved_from},
            {IN_MOVED_TO, Kind::moved_to},
        };
        const auto kind = kinds.find(one.mask & ~std::uint32_t{IN_ISDIR});
        if (kind == kinds.end() || !model_.contains(one.number)) return;
        expected_.push_back({.kind = kind->second,
                             .is_dir = (one.mask & IN_ISDIR) != 0,
                             .pair = one.cookie,
                             .watched = path_of(one.number),
                             .name = one.name});
    }

    void end_in_model(int number) {
        if (model_.erase(number) == 0) return;
        expected_.push_back({.kind = Kind::gone, .watched = path_of(number), .name = {}});
    }

    void check() {
        while (!changes_.empty()) {
            FUZZ_CHECK(!expected_.empty());
            const Change real = changes_.take();
            const Change& model = expected_.front();
            check_form(real, gone_);
            FUZZ_CHECK(real.kind == model.kind && real.is_dir == model.is_dir);
            FUZZ_CHECK(real.pair == model.pair && real.watched == model.watched);
            FUZZ_CHECK(real.name == model.name);
            expected_.pop_front();
        }
        FUZZ_CHECK(expected_.empty());
        FUZZ_CHECK(changes_.paths().size() == model_.size());
        for (const int number : model_) FUZZ_CHECK(changes_.paths().at(number) == path_of(number));
    }

    Input& input_;
    InotifyChanges changes_;
    std::set<int> model_;  // watched and known
    std::optional<InotifyChanges::Adding> adding_;
    int added_ = 0;
    bool ended_early_ = false;
    int next_number_ = 1;
    int last_number_ = 0;
    std::string written_;
    std::vector<Told> told_;  // of it
    std::deque<Change> expected_;
    std::set<std::string> gone_;
    bool overflowed_ = false;  // in what is being read
    bool lost_ = false;
};

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(watch_changes) {
    const std::size_t kind = input.below(4);
    if (kind == 0)
        asyncio::fuzz::any_bytes(input);
    else if (kind == 1)
        asyncio::fuzz::Queue(input).run();
    else
        asyncio::fuzz::Script(input).run();
}
