// SPDX-License-Identifier: MIT
//
// `example_NN_name --help` prints the comment that opens examples/NN_name.cpp: what it shows, how
// to run it. Linked into each example, so that the examples need no lines for it; a constructor,
// which glibc gives the program's arguments, and which so comes before main().
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include <errno.h>

namespace {

constexpr std::string_view kLicence = "// SPDX";
constexpr std::string_view kOutput = "// prints:";

[[gnu::constructor]] void answer_help(int argc, char** argv) {
    if (argc != 2 || (std::string_view(argv[1]) != "--help" && std::string_view(argv[1]) != "-h"))
        return;
    const std::ios_base::Init streams;
    std::string name = program_invocation_short_name;
    name.erase(0, name.find('_') + 1);  // example_
    std::ifstream source(std::string(ASYNCIO_EXAMPLES) + "/" + name + ".cpp");
    for (std::string line; std::getline(source, line) && line.starts_with("//");) {
        if (line.starts_with(kOutput)) break;
        if (line.starts_with(kLicence) || (line == "//" && source.tellg() < 64)) continue;
        std::cout << (line.size() > 3 ? line.substr(3) : "") << '\n';
    }
    std::cout.flush();
    std::_Exit(source ? EXIT_SUCCESS : EXIT_FAILURE);
}

}  // namespace
