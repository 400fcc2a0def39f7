// SPDX-License-Identifier: MIT
//
// Random calls on the real system and on a simulated disk: the same results, the same records.
#include <asyncio/testing/inotify_fixture_test.hpp>

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <linux/fs.h>

namespace asyncio::testing {
namespace {

/// Things to do with a few names in two directories, and with what is open.
struct Play {
    WatchedFiles& files;
    Random random;
    std::vector<int> open = {};

    std::string name() {
        static constexpr const char* kNames[] = {"d/a", "d/b", "d/c", "e/a",
                                                 "e/b", "d",   "e",   "d/k"};
        return kNames[random.index(std::size(kNames))];
    }
    int with_open(int (*use)(WatchedFiles&, int)) {
        if (open.empty()) return 0;
        return use(files, open[random.index(open.size())]);
    }
    int open_one() {
        static constexpr int kFlags[] = {O_RDONLY,
                                         O_WRONLY,
                                         O_RDWR,
                                         O_WRONLY | O_CREAT,
                                         O_RDWR | O_CREAT | O_TRUNC,
                                         O_RDWR | O_CREAT | O_EXCL};
        const std::string what = name();
        const int file = files.open(what, kFlags[random.index(std::size(kFlags))]);
        if (file >= 0) open.push_back(file);
        return std::min(file, 0);
    }
    int close_one() {
        if (open.empty()) return 0;
        const std::size_t which = random.index(open.size());
        const int file = std::exchange(open[which], open.back());
        open.pop_back();
        return files.close(file);
    }
    int move() {
        static constexpr int kFlags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
        const std::string from = name();
        const std::string to = name();
        return files.rename(from, to, kFlags[random.index(std::size(kFlags))]);
    }
    int link() {
        const std::string from = name();
        return files.link(from, name());
    }
    int watch() {
        static constexpr std::uint32_t kFlags[] = {0, 0, IN_EXCL_UNLINK, IN_ONESHOT, IN_MASK_ADD};
        const std::string what = name();
        return std::min(files.watch(what, kChanges | kFlags[random.index(std::size(kFlags))]), 0);
    }
    int step() {
        switch (random.below(14)) {
            case 0:
                return files.put(name());
            case 1:
                return files.mkdir(name());
            case 2:
                return files.unlink(name());
            case 3:
                return files.rmdir(name());
            case 4:
            case 5:
                return move();
            case 6:
                return link();
            case 7:
                return files.symlink("d/a", name());
            case 8:
                return files.set_mode(name(), 0755);
            case 9:
            case 10:
                return open_one();
            case 11:
                return close_one();
            case 12:
                return with_open([](WatchedFiles& f, int n) { return f.write(n, "xy"); });
            default:
                return watch();
        }
    }
};

TEST(InotifyByChance, a_simulated_disk_tells_what_the_real_one_tells) {
    for (const std::uint64_t seed : seeds_to_try(60)) {
        WatchedFiles real(false);
        WatchedFiles simulated(true);
        Play plays[] = {{real, Random(seed)}, {simulated, Random(seed)}};
        for (int i = 0; i < 200; ++i) {
            int results[2];
            Records records[2];
            for (int side = 0; side < 2; ++side) {
                plays[side].files.enter();
                results[side] = plays[side].step();
                records[side] = plays[side].files.records();
            }
            ASSERT_EQ(results[0], results[1]) << "seed " << seed << ", step " << i;
            ASSERT_EQ(records[0], records[1]) << "seed " << seed << ", step " << i;
        }
    }
}

}  // namespace
}  // namespace asyncio::testing
