// SPDX-License-Identifier: MIT
//
// Gives files to fuzz targets, without libFuzzer: the regression test of what fuzzing found.
//
//     fuzz_replay NAME FILE...     replay NAME with each of the files
//     fuzz_replay CORPUS           replay each target with all of CORPUS/NAME/
//
// Ends with the targets and inputs it replayed; 1 when a target has no corpus.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "fuzz.hpp"

namespace {

using asyncio::fuzz::Target;

void replay(const Target& target, const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    if (!file.is_open()) throw std::runtime_error("cannot open " + path.string());
    // A copy of exactly that size, so that sanitizers see who reads behind it.
    const auto copy = std::make_unique<std::uint8_t[]>(bytes.size());
    std::copy(bytes.begin(), bytes.end(), copy.get());
    std::fprintf(stderr, "%s %s\n", target.name, path.c_str());  // the last line tells the culprit
    asyncio::fuzz::Input input({copy.get(), bytes.size()});
    target.function(input);
}

std::size_t replay_corpus(const Target& target, const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    if (std::filesystem::is_directory(folder))
        for (const auto& entry : std::filesystem::directory_iterator(folder))
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const auto& file : files) replay(target, file);
    return files.size();
}

int replay_all(const std::filesystem::path& corpus) {
    std::size_t targets = 0;
    std::size_t inputs = 0;
    int result = 0;
    for (const Target* target = Target::first(); target != nullptr; target = target->next) {
        const std::size_t count = replay_corpus(*target, corpus / target->name);
        if (count == 0) {
            std::printf("%s has no corpus\n", target->name);
            result = 1;
        }
        ++targets;
        inputs += count;
    }
    std::printf("%zu targets, %zu inputs\n", targets, inputs);
    return result;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc == 2) return replay_all(argv[1]);
    const Target* target = argc > 2 ? Target::first() : nullptr;
    while (target != nullptr && std::strcmp(target->name, argv[1]) != 0) target = target->next;
    if (target == nullptr) {
        std::fprintf(stderr, "usage: fuzz_replay CORPUS | fuzz_replay TARGET FILE...\n");
        return 2;
    }
    for (int i = 2; i < argc; ++i) replay(*target, argv[i]);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz_replay: %s\n", error.what());
    return 1;
}
