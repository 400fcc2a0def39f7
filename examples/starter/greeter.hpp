#pragma once

#include <asyncio/asyncio.hpp>

/// Answers each line "NAME" with "hello, NAME", until the client has said all it has to say.
asyncio::Coro<> greet(asyncio::StreamReader& reader, asyncio::StreamWriter& writer);
