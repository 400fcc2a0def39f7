// SPDX-License-Identifier: MIT
//
// The user of a transport: as the bytes say, its callbacks call back into what has called them, or
// throw.
#pragma once

#include <stdexcept>

#include "fuzz.hpp"

namespace asyncio::fuzz {

struct Thrown : std::runtime_error {
    Thrown() : std::runtime_error("thrown by the script") {}
};

class ScriptedUser {
  protected:
    explicit ScriptedUser(Input& input) : input_(input) {}
    ScriptedUser(const ScriptedUser&) = delete;
    ScriptedUser& operator=(const ScriptedUser&) = delete;
    ~ScriptedUser() = default;

    /// One call, which may call back.
    virtual void act() = 0;

    void act_in_callback() {
        if (input_.below(16) == 1) raise();
        if (input_.below(4) == 1) act();
    }
    [[noreturn]] void raise() {
        thrown_ = true;
        throw Thrown();
    }

    Input& input_;
    bool thrown_ = false;
};

}  // namespace asyncio::fuzz
