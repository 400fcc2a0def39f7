// SPDX-License-Identifier: MIT
//
// Small files on io_uring: read within the enter that takes their records, or opened, or left to
// others; cancelled, taken back and abandoned at every stage, with records taken one by one,
// completions in a wrong order, and files that change in between.
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_kernel.hpp>
#include <asyncio/kernel/kernel_fixture_test.hpp>
#include <asyncio/kernel/ring_files_test.hpp>

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace asyncio::kernel::testing {
namespace {

unsigned records_at_once = 0;                       // the system takes so many of a call; 0: all
void (*behind_an_enter)(io_uring& ring) = nullptr;  // once

int slow_enter(io_uring& ring, unsigned submit, unsigned wait_for, unsigned flags,
               const void* argument, std::size_t size) {
    if (records_at_once != 0 && submit > records_at_once) {
        submit = records_at_once;
        wait_for = 0;
    }
    const long result =
        ::syscall(__NR_io_uring_enter, ring.ring_fd, submit, wait_for, flags, argument, size);
    const int error = errno;
    if (auto* const call = std::exchange(behind_an_enter, nullptr)) call(ring);
    return result < 0 ? -error : static_cast<int>(result);
}

struct SmallFileOperation : TestOperation {
    explicit SmallFileOperation(std::string name)
        : TestOperation(Opcode::small_file), place(std::move(name)) {
        path = place.c_str();
        then = [this](const Completion& completion) {
            if (completion.result >= 0) opened.reset(static_cast<const SmallFile&>(completion).fd);
        };
    }
    bool told() const { return !results.empty(); }
    /// All of the file was read.
    bool is_all() const { return last() > 0 && !opened; }

    std::string place;
    Fd opened;
};

class SmallFiles : public ::testing::Test {
  protected:
    void SetUp() override {
        if (epoll_was_chosen()) GTEST_SKIP() << "epoll was chosen";
        records_at_once = 0;
        behind_an_enter = nullptr;
        char name[] = "/tmp/asyncio-small-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        folder = name;
        descriptors_before = open_descriptors();
        renew();
        put("any", "any");
        SmallFileOperation any(path("any"));
        if (!kernel->submit(any)) {
            EXPECT_EQ(any.inline_result, -ENOTSUP);
            GTEST_SKIP() << "the system is older than Linux 6.8";
        }
        kernel->reclaim(any);
    }
    void TearDown() override {
        if (!IsSkipped()) {
            records_at_once = 0;
            EXPECT_EQ(kernel->in_flight(), 0u);
            poll_now(*kernel, 1);
            EXPECT_EQ(files_of_rings(), 0);
        }
        kernel.reset();
        if (!IsSkipped()) {
            EXPECT_EQ(open_descriptors(), descriptors_before);
        }
        std::filesystem::remove_all(folder);
    }

    void renew(IoUringOptions options = {}) {
        options.enter = &slow_enter;
        kernel = std::make_unique<IoUringKernel>(options);
        kernel->attach_to_thread();
    }
    std::string path(const std::string& name) const { return folder + "/" + name; }
    void put(const std::string& name, const std::string& text) const {
        std::ofstream(path(name), std::ios::binary) << text;
    }
    static std::string text_of(std::size_t size) {
        std::string text;
        for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(i * 2654435761u >> 13);
        return text;
    }
    void read(SmallFileOperation& operation) {
        ASSERT_TRUE(kernel->submit(operation));
        ASSERT_TRUE(pump(*kernel, [&] { return operation.told(); }));
    }
    std::string folder;
    int descriptors_before = 0;
    std::unique_ptr<IoUringKernel> kernel;
};

TEST_F(SmallFiles, what_is_in_memory_is_read_to_its_end) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{4095}, std::size_t{4096},
                                   std::size_t{4097}, std::size_t{8192}, SmallFile::largest}) {
        put("f", text_of(size));
        SmallFileOperation file(path("f"));
        read(file);
        EXPECT_TRUE(file.is_all()) << size;
        EXPECT_TRUE(file.data == text_of(size)) << size;
        kernel->reclaim(file);
        EXPECT_TRUE(file.idle());
    }
}

TEST_F(SmallFiles, what_is_empty_or_too_large_is_opened) {
    for (const std::size_t size :
         {std::size_t{0}, SmallFile::largest + 1, SmallFile::largest + 2, std::size_t{100'000}}) {
        put("f", text_of(size));
        SmallFileOperation file(path("f"));
        read(file);
        ASSERT_TRUE(file.opened) << size;
        EXPECT_EQ(::fcntl(file.opened.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        EXPECT_NE(::fcntl(file.opened.get(), F_GETFL) & O_NONBLOCK, 0);
        EXPECT_TRUE(text_of(size).starts_with(file.data));
        kernel->reclaim(file);
    }
}

TEST_F(SmallFiles, what_cannot_be_opened_is_left_to_others) {
    put("file", "x");
    for (const auto* name : {"missing", "file/below"}) {
        SmallFileOperation file(path(name));
        read(file);
        EXPECT_EQ(file.results, std::vector{-EAGAIN});
        EXPECT_TRUE(file.idle());
    }
}

TEST_F(SmallFiles, what_is_no_file_is_opened) {
    ::mkdir(path("directory").c_str(), 0700);
    for (const std::string& name : {path("directory"), std::string("/dev/null")}) {
        SmallFileOperation file(name);
        read(file);
        EXPECT_TRUE(file.opened) << name;
        EXPECT_EQ(file.data, "") << name;
        kernel->reclaim(file);
    }
}

TEST_F(SmallFiles, what_was_taken_comes_with_what_was_opened) {
    SmallFileOperation device("/dev/zero");
    read(device);
    EXPECT_TRUE(device.opened);
    // As much as it likes: it stops where it would hold up others.
    EXPECT_FALSE(device.data.empty());
    EXPECT_TRUE(device.data == std::string(device.data.size(), '\0'));
    kernel->reclaim(device);
}

TEST_F(SmallFiles, a_fifo_loses_neither_bytes_nor_its_reader) {
    ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
    const Fd keeper(::open(path("fifo").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
    const Fd writer(::open(path("fifo").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    const std::string much = text_of(SmallFile::largest + 10);
    for (const std::string& text : {std::string("abc"), std::string(), much}) {
        ASSERT_EQ(::write(writer.get(), text.data(), text.size()),
                  static_cast<ssize_t>(text.size()));
        SmallFileOperation file(path("fifo"));
        read(file);
        ASSERT_TRUE(file.opened);
        std::string rest(much.size(), '\0');
        const ssize_t more = ::read(file.opened.get(), rest.data(), rest.size());
        EXPECT_TRUE(file.data + rest.substr(0, more > 0 ? static_cast<std::size_t>(more) : 0) ==
                    text);
        kernel->reclaim(file);
    }
}

TEST_F(SmallFiles, a_file_that_grows_between_its_reads_is_opened) {
    static std::string growing;
    growing = path("growing");
    for (const std::size_t size : {std::size_t{100}, std::size_t{4096}}) {
        put("growing", text_of(size));
        SmallFileOperation file(growing);
        ASSERT_TRUE(kernel->submit(file));
        records_at_once = 2;  // open, and the first read
        behind_an_enter = [](io_uring&) {
            std::ofstream(growing, std::ios::binary | std::ios::app) << "more";
        };
        ASSERT_TRUE(pump(*kernel, [&] { return file.told(); }));
        records_at_once = 0;
        EXPECT_TRUE(file.opened) << size;
        EXPECT_TRUE(text_of(size) + 'm' == file.data) << size;
        kernel->reclaim(file);
    }
}

TEST_F(SmallFiles, A10_records_that_are_taken_one_by_one_read_as_well) {
    renew({.submission_entries = 4, .completion_entries = 8});
    records_at_once = 1;
    std::deque<SmallFileOperation> files;
    for (int i = 0; i < 60; ++i) {
        put(std::to_string(i), text_of(static_cast<std::size_t>(i) * 100 + 1));
        files.emplace_back(path(std::to_string(i)));
        ASSERT_TRUE(kernel->submit(files.back()));
    }
    ASSERT_TRUE(
        pump(*kernel, [&] { return std::ranges::all_of(files, &SmallFileOperation::told); }));
    for (std::size_t i = 0; i < files.size(); ++i) {
        EXPECT_TRUE(files[i].is_all());
        EXPECT_TRUE(files[i].data == text_of(i * 100 + 1)) << i;
        kernel->reclaim(files[i]);
    }
}

TEST_F(SmallFiles, more_than_there_are_places_for_is_left_to_others) {
    put("f", "text");
    std::deque<SmallFileOperation> files;
    for (unsigned i = 0; i < IoUringSmallFiles::most; ++i)
        ASSERT_TRUE(kernel->submit(files.emplace_back(path("f"))));
    SmallFileOperation late(path("f"));
    EXPECT_FALSE(kernel->submit(late));
    EXPECT_EQ(late.inline_result, -ENOTSUP);
    ASSERT_TRUE(
        pump(*kernel, [&] { return std::ranges::all_of(files, &SmallFileOperation::told); }));
    for (SmallFileOperation& file : files) {
        EXPECT_TRUE(file.is_all());
        EXPECT_EQ(file.data, "text");
        kernel->reclaim(file);
    }
    read(late);
    EXPECT_TRUE(late.is_all());
    kernel->reclaim(late);
}

TEST_F(SmallFiles, the_file_that_was_there_before_is_not_taken_for_one_that_cannot_be_opened) {
    put("old", "text");
    SmallFileOperation old(path("old"));
    read(old);
    kernel->reclaim(old);  // its place is the next to be lent, and holds it
    std::ofstream(path("old"), std::ios::binary | std::ios::app) << "more";
    SmallFileOperation missing(path("missing"));
    read(missing);
    EXPECT_EQ(missing.results, std::vector{-EAGAIN});
    EXPECT_EQ(missing.data, "");
}

TEST_F(SmallFiles, a_file_that_cannot_be_opened_takes_nothing_from_what_was_opened_before) {
    put("large", text_of(SmallFile::largest + 100));
    SmallFileOperation large(path("large"));
    read(large);
    ASSERT_TRUE(large.opened);
    kernel->reclaim(large);  // its place is the next to be lent
    ASSERT_EQ(::lseek(large.opened.get(), 0, SEEK_SET), 0);
    SmallFileOperation missing(path("missing"));
    read(missing);
    EXPECT_EQ(::lseek(large.opened.get(), 0, SEEK_CUR), 0);
}

TEST_F(SmallFiles, the_limit_of_descriptors_stays_the_users) {
    rlimit before = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit few = before;
    few.rlim_cur = IoUringSmallFiles::most - 1;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    renew();
    put("f", "text");
    SmallFileOperation file(path("f"));
    EXPECT_FALSE(kernel->submit(file));  // there is no room for the table
    rlimit now = {};
    ::getrlimit(RLIMIT_NOFILE, &now);
    ::setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ(now.rlim_cur, few.rlim_cur);
    kernel->reclaim(file);
}

TEST_F(SmallFiles, what_was_read_is_closed_before_the_kernel_waits) {
    put("f", "text");
    SmallFileOperation file(path("f"));
    read(file);
    EXPECT_EQ(files_of_rings(), 1);
    kernel->reclaim(file);
    poll_now(*kernel, 1);
    EXPECT_EQ(files_of_rings(), 0);
}

/// The first two of the last three completions change places.
void swap_completions(io_uring& ring) {
    const unsigned first = *ring.cq.ktail - 3;
    std::swap(ring.cq.cqes[first & ring.cq.ring_mask],
              ring.cq.cqes[(first + 1) & ring.cq.ring_mask]);
}

TEST_F(SmallFiles, what_was_read_before_it_was_opened_is_not_believed) {
    put("f", "text");
    SmallFileOperation file(path("f"));
    ASSERT_TRUE(kernel->submit(file));
    behind_an_enter = &swap_completions;
    ASSERT_TRUE(pump(*kernel, [&] { return file.told(); }));
    EXPECT_TRUE(file.opened);
    EXPECT_EQ(file.data, "");
    kernel->reclaim(file);
}

TEST_F(SmallFiles, without_a_descriptor_left_it_says_so_if_beginning_anew_would_not_do) {
    put("large", text_of(SmallFile::largest + 1));
    put("empty", "");
    rlimit before = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 0;
    SmallFileOperation large(path("large"));
    SmallFileOperation empty(path("empty"));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    read(large);
    read(empty);
    ::setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ(large.results, std::vector{-EMFILE});
    EXPECT_EQ(empty.results, std::vector{-EAGAIN});
}

/// How far an operation has come when something happens to it.
enum class Stage { queued, begun, in_memory, installing, told };
constexpr std::array stages = {Stage::queued, Stage::begun, Stage::in_memory, Stage::installing,
                               Stage::told};

class SmallFilesAtStage : public SmallFiles {
  protected:
    /// Brings `file` there; what comes then happens within `act`.
    template <class Act>
    void at(Stage stage, SmallFileOperation& file, Act&& act) {
        ASSERT_TRUE(kernel->submit(file));
        if (stage == Stage::queued) return act();
        if (stage == Stage::begun) {
            records_at_once = 1;
            kernel->wait(Duration::zero());
            records_at_once = 0;
            return act();
        }
        if (stage == Stage::in_memory) {
            // Another operation's completion, of an input, is told first.
            const Pair pair = unix_pair();
            ASSERT_TRUE(write_all(pair.b.get(), "x"));
            TestOperation poll(Opcode::poll, pair.a.get());
            poll.events = POLLIN;
            poll.then = [&](const Completion&) { act(); };
            ASSERT_TRUE(kernel->submit(poll));
            ASSERT_TRUE(pump(*kernel, [&] { return poll.ended(); }));
            return;
        }
        kernel->wait(Duration::zero());
        if (stage == Stage::told) {
            ASSERT_TRUE(pump(*kernel, [&] { return file.told(); }));
        }
        act();
    }
    /// A file that is read, and one that is only opened.
    static constexpr std::array sizes = {std::size_t{100}, SmallFile::largest + 1};
};

TEST_F(SmallFilesAtStage, A2_taken_back) {
    for (const Stage stage : stages) {
        for (const std::size_t size : sizes) {
            put("f", text_of(size));
            SmallFileOperation file(path("f"));
            at(stage, file, [&] { kernel->reclaim(file); });
            EXPECT_TRUE(file.idle());
            file.opened.reset();
            poll_now(*kernel);
            EXPECT_EQ(files_of_rings(), 0);
        }
    }
}

TEST_F(SmallFilesAtStage, A1_cancelled) {
    for (const Stage stage : stages) {
        for (const std::size_t size : sizes) {
            put("f", text_of(size));
            SmallFileOperation file(path("f"));
            at(stage, file, [&] { kernel->cancel(file); });
            ASSERT_TRUE(pump(*kernel, [&] { return file.told(); }));
            EXPECT_EQ(file.results.size(), 1u);
            kernel->reclaim(file);
            file.opened.reset();
            poll_now(*kernel);
            EXPECT_EQ(files_of_rings(), 0);
        }
    }
}

TEST_F(SmallFilesAtStage, A11_abandoned_with_the_kernel) {
    for (const Stage stage : {Stage::queued, Stage::begun, Stage::installing, Stage::told}) {
        for (const std::size_t size : sizes) {
            put("f", text_of(size));
            SmallFileOperation file(path("f"));
            at(stage, file, [&] { kernel.reset(); });
            EXPECT_TRUE(file.idle());
            file.opened.reset();
            renew();
        }
    }
}

TEST_F(SmallFiles, A11_what_was_read_is_closed_with_the_kernel) {
    put("f", "text");
    SmallFileOperation file(path("f"));
    read(file);
    kernel->reclaim(file);
    behind_an_enter = [](io_uring&) { EXPECT_EQ(files_of_rings(), 0); };
    kernel.reset();
    EXPECT_EQ(behind_an_enter, nullptr);  // it has entered once more
    renew();
}

}  // namespace
}  // namespace asyncio::kernel::testing
#endif
