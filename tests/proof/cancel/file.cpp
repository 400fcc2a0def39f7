// SPDX-License-Identifier: MIT
//
// G7's operations of the room file, in a folder of their own.
#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <tests/proof/cancel/operation.hpp>

#include <stdlib.h>

namespace asyncio::proof {
namespace {

struct Folder {
    Folder() {
        char name[] = "/tmp/asyncio-proof-XXXXXX";
        require(::mkdtemp(name) != nullptr, "mkdtemp");
        path = name;
        std::filesystem::create_directories(path + "/tree/a/b");
        for (const char* file : {"/file", "/tree/x", "/tree/a/y"}) put(file, text);
        std::filesystem::create_symlink("file", path + "/link");
    }
    ~Folder() {
        std::error_code busy;  // a thread may be at work there still, its loop gone
        for (int i = 0; i < 10; ++i) std::filesystem::remove_all(path, busy);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string operator/(const std::string& name) const { return path + "/" + name; }
    void put(const std::string& name, const std::string& contents) const {
        std::ofstream(path + name, std::ios::binary) << contents;
    }
    std::string get(const std::string& name) const {
        std::ostringstream contents;
        contents << std::ifstream(path + "/" + name, std::ios::binary).rdbuf();
        return contents.str();
    }

    std::string path;
    std::string text = std::string(300, 'a') + "\n" + std::string(3000, 'b') + "\nend\n";
};
using Place = std::shared_ptr<Folder>;

/// In a new folder.
Operation in_folder(std::string name, Coro<> (*operate)(Place), Coro<> (*check)(Place) = nullptr) {
    return {std::move(name), [operate, check]() -> Coro<Scene> {
                auto place = std::make_shared<Folder>();
                Scene scene;
                scene.operate = [place, operate]() -> Coro<> { co_await operate(place); };
                if (check != nullptr)
                    scene.check = [place, check]() -> Coro<> { co_await check(place); };
                co_return scene;
            }};
}

/// With that folder's file open.
Operation on_file(std::string name, const char* mode, Coro<> (*operate)(const File&)) {
    return {std::move(name), [mode, operate]() -> Coro<Scene> {
                auto place = std::make_shared<Folder>();
                auto file = std::make_shared<File>(co_await open(*place / "file", mode));
                co_return Scene{[file, operate]() -> Coro<> { co_await operate(*file); },
                                [file, place]() -> Coro<> {
                                    if (!file->closed()) co_await file->close();
                                }};
            }};
}

Coro<> opens(Place place) {
    File file = co_await open(*place / "file");
    co_await file.close();
}
Coro<> with_open(Place place) {
    co_await with(open(*place / "file"), [](File& file) -> Coro<> { (void)co_await file.read(); });
}
Coro<> read_all(const File& file) { (void)co_await file.read(); }
Coro<> read_some(const File& file) {
    for (int i = 0; i < 3; ++i) (void)co_await file.read(100);
}
Coro<> read_into(const File& file) {
    std::array<std::byte, 200> memory;
    (void)co_await file.read_into(memory);
}
Coro<> read_line(const File& file) {
    for (int i = 0; i < 3; ++i) (void)co_await file.readline();
}
Coro<> read_lines(const File& file) {
    auto lines = file.lines();
    while (auto line = co_await lines.next()) require(line->ends_with("\n"), "half a line");
}
Coro<> write(const File& file) {
    const std::string text(200'000, 'w');
    (void)co_await file.write(text);
    co_await file.flush();
}
Coro<> pread(const File& file) { (void)co_await file.pread(100, 50); }
Coro<> pread_into(const File& file) {
    std::array<std::byte, 200> memory;
    (void)co_await file.pread_into(memory, 10);
}
Coro<> pwrite(const File& file) { (void)co_await file.pwrite("text", 50); }
Coro<> seek(const File& file) { (void)co_await file.seek(10); }
Coro<> tell(const File& file) { (void)co_await file.tell(); }
Coro<> truncate(const File& file) { (void)co_await file.truncate(10); }
Coro<> fsync(const File& file) { co_await file.fsync(); }
Coro<> close(const File& file) { co_await file.close(); }

Coro<> asks_status(Place place) {
    (void)co_await fs::stat(*place / "file");
    (void)co_await fs::lstat(*place / "link");
}
Coro<> asks_kinds(Place place) {
    (void)co_await fs::exists(*place / "nothing");
    (void)co_await fs::is_file(*place / "file");
    (void)co_await fs::is_dir(*place / "tree");
    (void)co_await fs::is_symlink(*place / "link");
    (void)co_await fs::getsize(*place / "file");
}
Coro<> renames(Place place) {
    co_await fs::rename(*place / "file", *place / "other");
    co_await fs::remove(*place / "other");
}
Coro<> makes_directories(Place place) {
    co_await fs::mkdir(*place / "new");
    co_await fs::rmdir(*place / "new");
    co_await fs::makedirs(*place / "new/deep/deeper");
}
Coro<> links(Place place) {
    co_await fs::symlink("file", *place / "soft");
    co_await fs::link(*place / "file", *place / "hard");
    (void)co_await fs::readlink(*place / "soft");
    (void)co_await fs::realpath(*place / "soft");
    co_await fs::chmod(*place / "hard", 0600);
}
Coro<> scans(Place place) {
    auto entries = co_await fs::scandir(*place / "tree");
    while (auto entry = co_await entries.next()) require(!entry->name.empty(), "an empty name");
}
Coro<> lists(Place place) { (void)co_await fs::listdir(*place / "tree"); }
Coro<> walks(Place place) {
    auto walk = fs::walk(*place / "tree");
    while (auto* step = co_await walk.next()) require(!step->path.empty(), "an empty path");
}
Coro<> removes_tree(Place place) { co_await fs::rmtree(*place / "tree"); }
Coro<> reads_file(Place place) {
    const std::string text = co_await fs::read_file(*place / "file");
    require(text == place->text, "a wrong text");
}
Coro<> writes_file(Place place) { co_await fs::write_file(*place / "new", place->text); }
Coro<> copies(Place place) { (void)co_await fs::copy(*place / "file", *place / "copy"); }

Coro<> writes_atomic(Place place) { co_await fs::write_atomic(*place / "file", "new text"); }
/// Old or new, and no temporary file left.
Coro<> is_old_or_new(Place place) {
    const std::string text = place->get("file");
    require(text == place->text || text == "new text", "neither the old text nor the new one");
    const std::vector<std::string> names = co_await fs::listdir(place->path);
    require(names.size() == 3, "a temporary file was left");
}

Coro<> temporary(Place place) {
    const fs::TemporaryOptions options{.directory = place->path};
    File file = co_await fs::temporary_file(options);
    (void)co_await file.write("x");
    co_await file.close();
}
Coro<> named_temporary(Place place) {
    const fs::TemporaryOptions options{.directory = place->path};
    fs::NamedFile file = co_await fs::named_temporary_file(options);
    co_await file.close();
}
Coro<> temporary_directory(Place place) {
    fs::TemporaryDirectory directory({.directory = place->path});
    co_await with(std::move(directory),
                  [](std::string& path) -> Coro<> { co_await fs::write_file(path + "/f", "x"); });
}
Coro<> makes_temporary_directory(Place place) {
    const fs::TemporaryOptions options{.directory = place->path};
    const std::string made = co_await fs::mkdtemp(options);
    co_await fs::rmdir(made);
}
Coro<> nothing_new(Place place) {
    const std::vector<std::string> names = co_await fs::listdir(place->path);
    require(names.size() == 3, "something temporary was left");
}

Coro<Scene> watches() {
    auto place = std::make_shared<Folder>();
    auto got = std::make_shared<int>(0);
    co_return Scene{[place, got]() -> Coro<> {
                        auto watch = co_await fs::watch(place->path);
                        get_running_loop().call_later(200us, [place] { place->put("/new", "x"); });
                        auto change = co_await watch.next();
                        require(change && change->name == "new", "a wrong change");
                    },
                    {}};
}

}  // namespace

void add_file_operations(Operations& all) {
    all.push_back(in_folder("open", opens));
    all.push_back(in_folder("with(open)", with_open));
    all.push_back(on_file("File.read()", "r", read_all));
    all.push_back(on_file("File.read(n)", "r", read_some));
    all.push_back(on_file("File.read_into", "r", read_into));
    all.push_back(on_file("File.readline", "r", read_line));
    all.push_back(on_file("File.lines", "r", read_lines));
    all.push_back(on_file("File.write, flush", "w", write));
    all.push_back(on_file("File.pread", "r", pread));
    all.push_back(on_file("File.pread_into", "r", pread_into));
    all.push_back(on_file("File.pwrite", "r+", pwrite));
    all.push_back(on_file("File.seek", "r", seek));
    all.push_back(on_file("File.tell", "r", tell));
    all.push_back(on_file("File.truncate", "r+", truncate));
    all.push_back(on_file("File.fsync", "r+", fsync));
    all.push_back(on_file("File.close", "r", close));
    all.push_back(in_folder("fs::stat, lstat", asks_status));
    all.push_back(in_folder("fs::exists and its like", asks_kinds));
    all.push_back(in_folder("fs::rename, remove", renames));
    all.push_back(in_folder("fs::mkdir, rmdir, makedirs", makes_directories));
    all.push_back(in_folder("fs::symlink, link, readlink, realpath, chmod", links));
    all.push_back(in_folder("fs::scandir", scans));
    all.push_back(in_folder("fs::listdir", lists));
    all.push_back(in_folder("fs::walk", walks));
    all.push_back(in_folder("fs::rmtree", removes_tree));
    all.push_back(in_folder("fs::read_file", reads_file));
    all.push_back(in_folder("fs::write_file", writes_file));
    all.push_back(in_folder("fs::copy", copies));
    all.push_back(in_folder("fs::write_atomic", writes_atomic, is_old_or_new));
    all.push_back(in_folder("fs::temporary_file", temporary, nothing_new));
    all.push_back(in_folder("fs::named_temporary_file", named_temporary, nothing_new));
    all.push_back(in_folder("fs::TemporaryDirectory", temporary_directory, nothing_new));
    all.push_back(in_folder("fs::mkdtemp", makes_temporary_directory));
    all.push_back({"fs::watch", watches});
}

}  // namespace asyncio::proof
