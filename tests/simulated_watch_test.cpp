// SPDX-License-Identifier: MIT
//
// Programs that live by what fs::watch tells them, on disks that are slow and fail, whose queue of
// changes overflows and whose power goes:
//
//   mirror    two tasks make, move and remove files while a third follows: it is told all of that,
//             each thing once and in its order, or that something is missing; and then it can see
//             for itself
//   coming    paths that are removed while they are being added: each is told as gone, or refused
//   again     paths that are replaced and added again while changes are lost: the new ones are
//             watched
//
// ASYNCIO_TEST_SCALE=100 makes ten thousand worlds of each.
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/simulation.hpp>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "simulated_figure_test.hpp"

namespace asyncio {
namespace {

using namespace std::chrono_literals;
using fs::Change;
using testing::Simulation;

constexpr std::uint64_t kWorlds = 100;
constexpr const char* kInbox = "inbox";
constexpr const char* kEnd = "end";

/// Again and again, until the disk lets it pass.
template <class F>
Coro<> insist(F call) {
    for (;;) {
        try {
            co_await call();
            co_return;
        } catch (const std::system_error& error) {
            if (error.code().value() != EIO) throw;
        }
    }
}

/// False: the disk did not let it pass, and nothing has happened.
Coro<bool> happens(Coro<> call) {
    try {
        co_await std::move(call);
        co_return true;
    } catch (const std::system_error& error) {
        if (error.code().value() != EIO) throw;
        co_return false;
    }
}

// --- mirror --------------------------------------------------------------------------------------

/// What a program did since it started, and what it was told.
struct Books {
    std::vector<std::string> done;  // "created a3"
    std::vector<std::string> told;
    std::set<std::string> names;  // that are there, by what was told
    std::set<std::string> found;  // that were there in the end
    bool overflowed = false;
    bool ended = false;
};

std::string in_inbox(const std::string& name) { return std::string(kInbox) + "/" + name; }

Coro<> look(std::set<std::string>& names) {
    co_await insist([&]() -> Coro<> {
        const std::vector<std::string> found = co_await fs::listdir(kInbox);
        names = std::set<std::string>(found.begin(), found.end());
    });
}

void note(const Change& change, Books& books) {
    const std::string name = change.name + (change.is_dir ? "/" : "");
    switch (change.kind) {
        case Change::Kind::created:
        case Change::Kind::moved_to:
            books.names.insert(change.name);
            break;
        case Change::Kind::removed:
        case Change::Kind::moved_from:
            books.names.erase(change.name);
            break;
        case Change::Kind::written:
            break;
        default:
            return;
    }
    static constexpr const char* kWords[] = {"created ", "modified ", "written ", "attributes ",
                                             "removed ", "from ",     "to "};
    books.told.push_back(kWords[static_cast<int>(change.kind)] + name);
}

Coro<> follow(Simulation& sim, const fs::Watch& watch, Books& books) {
    for (;;) {
        std::optional<Change> change;
        try {
            // What is lost is told late: the end is not the end yet.
            change = co_await wait_for(watch.next(), books.names.contains(kEnd) ? 5s : 1h);
        } catch (const TimeoutError&) {
            co_return;
        }
        if (!change) throw std::logic_error("nothing is watched any more");
        if (change->kind == Change::Kind::overflow) {
            books.overflowed = true;
            co_await look(books.names);
        } else {
            note(*change, books);
        }
        if (sim.random().chance(0.02)) co_await sleep(sim.random().between(1ms, 200ms));
    }
}

/// Makes changes to names that begin with `prefix`, and writes down those that happened.
class Actor {
  public:
    Actor(Simulation& sim, Books& books, char prefix) : sim_(sim), books_(books), prefix_(prefix) {}

    Coro<> act(int times) {
        while (times-- > 0) {
            const std::string name = any_name();
            switch (sim_.random().below(5)) {
                case 0:
                    co_await write(name);
                    break;
                case 1:
                    co_await append(name);
                    break;
                case 2:
                    if (mine_.contains(name)) co_await remove(name);
                    break;
                case 3:
                    if (mine_.contains(name)) co_await move(name, any_name());
                    break;
                default:
                    co_await make_and_remove_directory();
            }
            if (sim_.random().chance(0.2)) co_await sleep(sim_.random().between(1ms, 20ms));
        }
    }

  private:
    std::string any_name() { return prefix_ + std::to_string(sim_.random().below(5)); }
    void done(const char* what, const std::string& name) {
        books_.done.push_back(std::string(what) + " " + name);
    }
    void written(const std::string& name) {
        if (mine_.insert(name).second) done("created", name);
        done("written", name);
    }

    Coro<> write(std::string name) {
        const std::string path = in_inbox(name);
        if (co_await happens(fs::write_file(path, "text"))) written(name);
    }
    Coro<> append(std::string name) {
        const std::string path = in_inbox(name);
        co_await insist([&]() -> Coro<> {
            File file = co_await open(path, "a");
            co_await file.write("more");
            co_await file.close();
        });
        written(name);
    }
    Coro<> remove(std::string name) {
        const std::string path = in_inbox(name);
        if (!co_await happens(fs::remove(path))) co_return;
        mine_.erase(name);
        done("removed", name);
    }
    Coro<> move(std::string from, std::string to) {
        const std::string old_path = in_inbox(from);
        const std::string new_path = in_inbox(to);
        if (!co_await happens(fs::rename(old_path, new_path)) || from == to) co_return;
        mine_.erase(from);
        mine_.insert(to);
        done("from", from);
        done("to", to);
    }
    Coro<> make_and_remove_directory() {
        const std::string name = prefix_ + std::string("d/");
        const std::string path = in_inbox(name);
        if (!co_await happens(fs::mkdir(path))) co_return;
        done("created", name);
        co_await insist([&]() -> Coro<> { co_await fs::rmdir(path); });
        done("removed", name);
    }

    Simulation& sim_;
    Books& books_;
    const char prefix_;
    std::set<std::string> mine_;  // files
};

/// What a crash has left; two of the names may be one file's, whose moves Linux does not make.
Coro<> clean_up() {
    co_await insist([]() -> Coro<> { co_await fs::makedirs(kInbox, {.exist_ok = true}); });
    std::set<std::string> names;
    co_await look(names);
    for (const std::string& name : names) {
        const std::string path = in_inbox(name);
        const bool is_directory = name.size() == 2 && name.ends_with('d');
        co_await insist([&]() -> Coro<> {
            if (is_directory)
                co_await fs::rmdir(path);
            else
                co_await fs::remove(path);
        });
    }
}

Coro<> act_all(Simulation& sim, Books& books) {
    Actor first(sim, books, 'a');
    Actor second(sim, books, 'b');
    co_await gather(first.act(40), second.act(40));
    const std::string path = in_inbox(kEnd);
    co_await insist([&]() -> Coro<> { co_await fs::write_file(path, ""); });
}

Coro<> mirror(Simulation& sim, Books& books) {
    books = {};
    co_await clean_up();
    std::optional<fs::Watch> watch;
    co_await insist([&]() -> Coro<> { watch = co_await fs::watch(kInbox); });
    co_await gather(follow(sim, *watch, books), act_all(sim, books));
    co_await look(books.found);
    books.ended = true;
}

std::vector<std::string> only(const std::vector<std::string>& changes, char prefix) {
    std::vector<std::string> some;
    for (const std::string& change : changes)
        if (change[change.find(' ') + 1] == prefix) some.push_back(change);
    return some;
}

/// True if `some` are among `all`, in their order.
bool is_part_of(const std::vector<std::string>& some, const std::vector<std::string>& all) {
    auto at = all.begin();
    for (const std::string& change : some) {
        at = std::find(at, all.end(), change);
        if (at == all.end()) return false;
        ++at;
    }
    return true;
}

void check(const Books& books) {
    EXPECT_TRUE(books.ended);
    EXPECT_EQ(books.names, books.found);
    for (const char prefix : {'a', 'b'}) {
        const auto told = only(books.told, prefix);
        const auto done = only(books.done, prefix);
        if (books.overflowed) {
            EXPECT_TRUE(is_part_of(told, done))
                << ::testing::PrintToString(told) << " of " << ::testing::PrintToString(done);
        } else {
            EXPECT_EQ(told, done);
        }
    }
}

/// The seed decides how bad the disk is.
void spoil(testing::DiskFaults& faults, testing::Random& random) {
    if (random.chance(0.5)) faults.name_error = 0.1;
    if (random.chance(0.3)) faults.watch_overflow = 0.01;
    if (random.chance(0.3)) faults.watch_queue = 2 + random.below(10);
}

TEST(SimulatedWatch, nothing_is_lost_unless_that_is_told) {
    int whole = 0;
    int overflowed = 0;
    tell("mirror", kWorlds, [&](Simulation& sim) -> Coro<> {
        Books books;
        auto& host = sim.host("host", [&]() -> Coro<> { co_await mirror(sim, books); });
        spoil(host.disk().faults, sim.random());
        for (int crashes = static_cast<int>(sim.random().below(3)); crashes > 0; --crashes) {
            co_await sleep(sim.random().between(1ms, 1s));
            if (!host.running()) break;
            host.crash();
            co_await sleep(sim.random().between(1ms, 100ms));
            host.restart();
        }
        co_await host.finished();
        check(books);
        (books.overflowed ? overflowed : whole) += 1;
    });
    if (testing::seeds_to_try(kWorlds).size() < kWorlds) return;
    EXPECT_GT(whole, 10);
    EXPECT_GT(overflowed, 10);
}

// --- coming --------------------------------------------------------------------------------------

Coro<> count_ends(const fs::Watch& watch, int& ends) {
    while (auto change = co_await watch.next()) ends += change->kind == Change::Kind::gone;
}

/// 1 if it came to be watched.
Coro<int> add(const fs::Watch& watch, std::string path) {
    try {
        co_await watch.add(path);
        co_return 1;
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), ENOENT);
        co_return 0;
    }
}

Coro<> add_what_goes(Simulation& sim) {
    co_await fs::mkdir("stays");
    const fs::Watch watch = co_await fs::watch("stays");
    int ends = 0;
    const Task<> counting = create_task(count_ends(watch, ends));
    int watched = 1;
    for (int i = 0; i < 20; ++i) {
        const std::string path = "goes" + std::to_string(i);
        co_await fs::mkdir(path);
        const Task<int> adding = create_task(add(watch, path));
        if (sim.random().chance(0.5)) co_await sleep(sim.random().between(1us, 1ms));
        co_await fs::rmdir(path);
        watched += co_await adding;
    }
    co_await fs::rmdir("stays");
    co_await counting;
    EXPECT_EQ(ends, watched);
}

TEST(SimulatedWatch, a_path_that_goes_while_it_is_added_is_told_as_gone) {
    tell("coming", kWorlds, [](Simulation& sim) -> Coro<> {
        auto& host = sim.host("host", [&]() -> Coro<> { co_await add_what_goes(sim); });
        if (sim.random().chance(0.5)) host.disk().faults.watch_overflow = 0.1;
        co_await host.finished();
    });
}

// --- again ---------------------------------------------------------------------------------------

/// How often something was told: that it is there, or that something is missing.
Coro<> count_news(const fs::Watch& watch, int& news) {
    while (auto change = co_await watch.next())
        news += change->kind == Change::Kind::overflow || change->name == "news";
}

Coro<> replace_and_add(Simulation& sim, int times) {
    co_await fs::mkdir("stays");
    const fs::Watch watch = co_await fs::watch("stays");
    int news = 0;
    const Task<> counting = create_task(count_news(watch, news));
    for (int i = 0; i < times; ++i) {
        const std::string path = "again" + std::to_string(i);
        co_await fs::mkdir(path);
        co_await watch.add(path);
        co_await fs::rmdir(path);
        co_await fs::mkdir(path);
        if (sim.random().chance(0.5)) co_await sleep(sim.random().between(1us, 1ms));
        co_await watch.add(path);
        co_await sleep(1s);
        const int before = news;
        co_await fs::write_file(path + "/news", "");
        co_await sleep(1s);
        EXPECT_GT(news, before) << path;
    }
    watch.close();
    co_await counting;
}

TEST(SimulatedWatch, a_path_that_is_added_again_is_watched_although_changes_are_lost) {
    tell("again", kWorlds, [](Simulation& sim) -> Coro<> {
        auto& host = sim.host("host", [&]() -> Coro<> { co_await replace_and_add(sim, 10); });
        host.disk().faults.watch_overflow = 0.2;
        co_await host.finished();
    });
}

}  // namespace
}  // namespace asyncio
