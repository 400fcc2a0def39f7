// SPDX-License-Identifier: MIT
//
// File calls: the same call gives the same result whether a kernel makes it or perform() does, and
// none is lost when it is cancelled, taken back or the kernel dies.
#include <asyncio/kernel/kernel_fixture_test.hpp>
#include <asyncio/os/file_call.hpp>

#include <cstdio>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>

namespace asyncio::kernel::testing {
namespace {

using os::FileCall;
using Kind = FileCall::Kind;

struct FileOperation : TestOperation {
    explicit FileOperation(const FileCall& call) : TestOperation(Opcode::file) {
        file_call = &call;
    }
};

class KernelFile : public KernelFixture {
  protected:
    void SetUp() override {
        char name[] = "/tmp/asyncio-file-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        folder = name;
        KernelFixture::SetUp();
    }
    void TearDown() override {
        KernelFixture::TearDown();
        std::filesystem::remove_all(folder);
    }

    /// Through the kernel, or through perform() when it cannot.
    int call(const FileCall& what) {
        FileOperation operation(what);
        if (!kernel->submit(operation)) {
            EXPECT_EQ(operation.inline_result, -ENOTSUP);
            return os::perform(what);
        }
        EXPECT_TRUE(pump(*kernel, [&] { return operation.ended(); }));
        return operation.last();
    }
    /// What only exists when the kernel itself can.
    bool knows(Kind kind) {
        const std::string nowhere = folder + "/no/such/place";
        const FileCall what{.kind = kind, .fd = -1, .path = nowhere.c_str()};
        FileOperation operation(what);
        if (!kernel->submit(operation)) return false;
        EXPECT_TRUE(pump(*kernel, [&] { return operation.ended(); }));
        return true;
    }
    std::string path(const char* name) const { return folder + "/" + name; }

    std::string folder;
};
INSTANTIATE_TEST_SUITE_P(Variants, KernelFile, variants(), name_of);

TEST_P(KernelFile, writes_and_reads_at_offsets_and_at_the_position) {
    const std::string name = path("data");
    const int fd =
        call({.kind = Kind::open, .flags = O_RDWR | O_CREAT, .mode = 0600, .path = name.c_str()});
    ASSERT_GE(fd, 0);
    EXPECT_EQ(::fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    char text[] = "hello world";
    EXPECT_EQ(call({.kind = Kind::write, .fd = fd, .memory = text, .size = 5}), 5);
    EXPECT_EQ(call({.kind = Kind::write, .fd = fd, .memory = text + 5, .size = 6}), 6);
    EXPECT_EQ(call({.kind = Kind::sync, .fd = fd}), 0);
    EXPECT_EQ(call({.kind = Kind::sync, .fd = fd, .flags = FileCall::kDataOnly}), 0);
    char back[16] = {};
    EXPECT_EQ(call({.kind = Kind::read, .fd = fd, .memory = back, .size = 16}), 0);
    EXPECT_EQ(call({.kind = Kind::read, .fd = fd, .memory = back, .size = 16, .offset = 6}), 5);
    EXPECT_STREQ(back, "world");
    EXPECT_EQ(call({.kind = Kind::truncate, .fd = fd, .offset = 5}), 0);
    EXPECT_EQ(std::filesystem::file_size(name), 5u);
    EXPECT_EQ(call({.kind = Kind::close, .fd = fd}), 0);
    EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST_P(KernelFile, names) {
    const std::string a = path("a");
    const std::string b = path("b");
    const std::string soft = path("soft");
    const std::string hard = path("hard");
    EXPECT_EQ(call({.kind = Kind::mkdir, .mode = 0700, .path = a.c_str()}), 0);
    EXPECT_EQ(call({.kind = Kind::mkdir, .mode = 0700, .path = a.c_str()}), -EEXIST);
    EXPECT_EQ(call({.kind = Kind::unlink, .path = a.c_str()}), -EISDIR);
    EXPECT_EQ(call({.kind = Kind::rename, .path = a.c_str(), .other = b.c_str()}), 0);
    struct statx attributes = {};
    EXPECT_EQ(call({.kind = Kind::stat, .path = a.c_str(), .attributes = &attributes}), -ENOENT);
    EXPECT_EQ(call({.kind = Kind::stat, .path = b.c_str(), .attributes = &attributes}), 0);
    EXPECT_TRUE(S_ISDIR(attributes.stx_mode));
    EXPECT_EQ(call({.kind = Kind::unlink, .flags = AT_REMOVEDIR, .path = b.c_str()}), 0);
    const std::string file = path("file");
    std::fclose(std::fopen(file.c_str(), "w"));
    EXPECT_EQ(call({.kind = Kind::symlink, .path = "file", .other = soft.c_str()}), 0);
    EXPECT_EQ(call({.kind = Kind::link, .path = file.c_str(), .other = hard.c_str()}), 0);
    EXPECT_EQ(std::filesystem::read_symlink(soft), "file");
    EXPECT_EQ(std::filesystem::hard_link_count(hard), 2u);
    EXPECT_EQ(call({.kind = Kind::unlink, .path = hard.c_str()}), 0);
    EXPECT_FALSE(std::filesystem::exists(hard));
}

TEST_P(KernelFile, errors_are_those_of_the_system) {
    const std::string none = path("none");
    EXPECT_EQ(call({.kind = Kind::open, .flags = O_RDONLY, .path = none.c_str()}), -ENOENT);
    EXPECT_EQ(call({.kind = Kind::open, .flags = O_WRONLY, .path = folder.c_str()}), -EISDIR);
    char byte = 'x';
    EXPECT_EQ(call({.kind = Kind::read, .fd = -1, .memory = &byte, .size = 1}), -EBADF);
    const Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    EXPECT_EQ(call({.kind = Kind::write, .fd = full.get(), .memory = &byte, .size = 1}), -ENOSPC);
    const Fd readable(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(call({.kind = Kind::write, .fd = readable.get(), .memory = &byte, .size = 1}),
              -EBADF);
}

TEST_P(KernelFile, a_read_that_blocks_can_be_cancelled_or_taken_back) {
    if (!knows(Kind::read)) GTEST_SKIP() << "this kernel leaves file calls to threads";
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const Fd out(ends[0]);
    const Fd in(ends[1]);
    char memory[8] = {};
    const FileCall read{.kind = Kind::read, .fd = out.get(), .memory = memory, .size = 8};
    FileOperation cancelled(read);
    ASSERT_TRUE(kernel->submit(cancelled));
    poll_now(*kernel);
    EXPECT_FALSE(cancelled.ended());
    kernel->cancel(cancelled);
    ASSERT_TRUE(pump(*kernel, [&] { return cancelled.ended(); }));
    EXPECT_TRUE(cancelled.last() == -ECANCELED || cancelled.last() == -EINTR) << cancelled.last();
    FileOperation reclaimed(read);
    ASSERT_TRUE(kernel->submit(reclaimed));
    poll_now(*kernel);
    kernel->reclaim(reclaimed);
    EXPECT_TRUE(reclaimed.idle());
    EXPECT_TRUE(reclaimed.results.empty());
    // The memory is ours again (catalogue A4), and what comes is there for others.
    ASSERT_EQ(::write(in.get(), "late", 4), 4);
    poll_now(*kernel);
    ASSERT_EQ(std::string_view(memory, 8), std::string_view("\0\0\0\0\0\0\0\0", 8));
    EXPECT_EQ(::read(out.get(), memory, 8), 4);
}

TEST_P(KernelFile, a_descriptor_that_nobody_waits_for_any_more_is_closed) {
    if (!knows(Kind::open)) GTEST_SKIP() << "this kernel leaves file calls to threads";
    for (int i = 0; i < 200; i++) {
        const FileCall open{.kind = Kind::open, .flags = O_RDONLY, .path = "/dev/null"};
        FileOperation operation(open);
        ASSERT_TRUE(kernel->submit(operation));
        if (i % 2 == 0) poll_now(*kernel, 1);
        if (operation.ended()) {
            ::close(operation.last());
        } else {
            kernel->reclaim(operation);
        }
    }
    // TearDown() counts descriptors.
    EXPECT_EQ(kernel->in_flight(), 0u);
}

TEST_P(KernelFile, an_open_that_blocks_is_taken_back) {
    if (!knows(Kind::open)) GTEST_SKIP() << "this kernel leaves file calls to threads";
    const std::string fifo = path("fifo");
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const FileCall open{.kind = Kind::open, .flags = O_WRONLY, .path = fifo.c_str(), .waits = true};
    FileOperation reclaimed(open);
    ASSERT_TRUE(kernel->submit(reclaimed));
    poll_now(*kernel);
    EXPECT_FALSE(reclaimed.ended());
    kernel->reclaim(reclaimed);
    EXPECT_TRUE(reclaimed.idle());
    FileOperation cancelled(open);
    ASSERT_TRUE(kernel->submit(cancelled));
    poll_now(*kernel);
    kernel->cancel(cancelled);
    ASSERT_TRUE(pump(*kernel, [&] { return cancelled.ended(); }));
    EXPECT_LT(cancelled.last(), 0);
}

}  // namespace
}  // namespace asyncio::kernel::testing
