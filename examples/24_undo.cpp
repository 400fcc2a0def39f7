// SPDX-License-Identifier: MIT
//
// An undo stack: a queue that gives the newest first.
//
//     ./dev example 24
//
// prints:
//     text: hello, big world
//     undo: hello, world
//     undo: hello
//     undo:
//     nothing left to undo
#include <asyncio/asyncio.hpp>

#include <cstdio>

using asyncio::Coro;

struct Editor {
    std::string text;
    asyncio::LifoQueue<std::string> history;

    void change(std::string to) {
        history.put_nowait(text);
        text = std::move(to);
    }
    Coro<> undo() {
        text = co_await history.get();
        std::printf("undo:%s%s\n", text.empty() ? "" : " ", text.c_str());
    }
};

Coro<> edit() {
    Editor editor;
    editor.change("hello");
    editor.change("hello, world");
    editor.change("hello, big world");
    std::printf("text: %s\n", editor.text.c_str());
    while (!editor.history.empty()) co_await editor.undo();
    try {
        editor.history.get_nowait();
    } catch (const asyncio::QueueEmpty&) {
        std::puts("nothing left to undo");
    }
}

int main() { asyncio::run(edit()); }
