// SPDX-License-Identifier: MIT
//
// What the tests of files share: a folder of their own, and what an error says.
#pragma once

#include <asyncio/base/outcome.hpp>

#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

#include <stdlib.h>

namespace asyncio {

/// Each test has an empty folder, which goes with it.
class FolderTest : public ::testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/asyncio-file-XXXXXX";
        ASSERT_NE(::mkdtemp(name), nullptr);
        folder = name;
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    std::string path(const std::string& name) const { return folder + "/" + name; }
    void put(const std::string& name, const std::string& text) const {
        std::ofstream(path(name), std::ios::binary) << text;
    }
    std::string get(const std::string& name) const {
        std::ostringstream text;
        text << std::ifstream(path(name), std::ios::binary).rdbuf();
        return text.str();
    }

    std::string folder;
};

/// The text of the error that `outcome` holds.
template <class T>
std::string error_of(const Outcome<T>& outcome) {
    try {
        std::rethrow_exception(outcome.error());
    } catch (const std::exception& e) {
        return e.what();
    }
}

/// The number (errno) of the std::system_error that `outcome` holds; 0 for a value.
template <class T>
int errno_of(const Outcome<T>& outcome) {
    if (outcome) return 0;
    try {
        std::rethrow_exception(outcome.error());
    } catch (const std::system_error& e) {
        return e.code().value();
    }
}

}  // namespace asyncio
