// SPDX-License-Identifier: MIT
#include <asyncio/coro/promise.hpp>
#include <asyncio/coro/stack_frame.hpp>

#include <algorithm>

namespace asyncio {

namespace coro {

namespace {

bool opens(char c) noexcept { return c == '(' || c == '<' || c == '[' || c == '{'; }
bool closes(char c) noexcept { return c == ')' || c == '>' || c == ']' || c == '}'; }

/// Where the bracket that closes at the end of `text` was opened; 0 if nowhere.
std::size_t matching_open(std::string_view text) noexcept {
    int depth = 0;
    for (std::size_t i = text.size(); i-- > 0;) {
        if (closes(text[i])) ++depth;
        if (opens(text[i]) && --depth == 0) return i;
    }
    return 0;
}

/// After the last space outside all brackets: behind the return type.
std::size_t start_of_name(std::string_view text) noexcept {
    int depth = 0;
    for (std::size_t i = text.size(); i-- > 0;) {
        if (closes(text[i])) ++depth;
        if (opens(text[i])) --depth;
        if (text[i] == ' ' && depth == 0) return i + 1;
    }
    return 0;
}

void strip_end(std::string_view& text, std::string_view end) noexcept {
    if (text.ends_with(end)) text.remove_suffix(end.size());
}

/// Clang's "(anonymous class)::operator()" and GCC's "<lambda(int)>" are both "<lambda>", and
/// anonymous namespaces are left out.
std::string in_one_spelling(std::string_view name) {
    static constexpr std::string_view kClang = "(anonymous class)::operator()";
    static constexpr std::string_view kGcc = "<lambda(";
    static constexpr std::string_view kNamespaces[] = {"(anonymous namespace)::", "{anonymous}::"};
    std::string text;
    while (!name.empty()) {
        if (name.starts_with(kNamespaces[0]) || name.starts_with(kNamespaces[1])) {
            name.remove_prefix(name.find("::") + 2);
        } else if (name.starts_with(kClang)) {
            text += "<lambda>";
            name.remove_prefix(kClang.size());
        } else if (name.starts_with(kGcc)) {
            text += "<lambda>";
            name.remove_prefix(std::min(name.find(")>"), name.size() - 2) + 2);
            if (name.starts_with("::operator()")) name.remove_prefix(12);
        } else {
            text += name.front();
            name.remove_prefix(1);
        }
    }
    return text;
}

}  // namespace

std::string bare_function_name(std::string_view signature) {
    std::string_view name = signature;
    if (name.ends_with(']')) name = name.substr(0, matching_open(name));  // [with T = int]
    for (const std::string_view end : {" ", " noexcept", "&", "&", " ", " volatile", " const"})
        strip_end(name, end);
    if (name.ends_with(')')) name = name.substr(0, matching_open(name));  // the parameters
    name.remove_prefix(start_of_name(name));
    return name.empty() ? std::string(signature) : in_one_spelling(name);
}

StackFrame stack_frame(const PromiseBase& frame, bool exact) noexcept {
    const std::source_location& created = frame.created();
    const bool awaited = frame.await_site().line() != 0;
    const std::source_location& at = awaited ? frame.await_site() : created;
    return {.function = created.function_name(),
            .file = at.file_name(),
            .line = at.line(),
            .exact = exact};
}

std::vector<StackFrame> stack_of(const Driver& driver, const std::source_location* here) {
    std::vector<StackFrame> frames;
    for (const PromiseBase* frame = driver.innermost(); frame != nullptr; frame = frame->awaiter())
        frames.push_back(stack_frame(*frame, true));
    if (here == nullptr || frames.empty()) return frames;
    const StackFrame asker{
        .function = here->function_name(), .file = here->file_name(), .line = here->line()};
    StackFrame& innermost = frames.front();
    if (asker.name() == innermost.name()) {
        innermost.file = asker.file;
        innermost.line = asker.line;
    } else {
        innermost.exact = false;
        frames.insert(frames.begin(), asker);
        frames.front().is_coroutine = false;
    }
    return frames;
}

}  // namespace coro

std::string StackFrame::name() const { return coro::bare_function_name(function); }

std::string to_string(const StackFrame& frame) {
    return "File \"" + std::string(frame.file) + "\", line " + std::to_string(frame.line) +
           (frame.exact ? ", in " : " or later, in ") + (frame.is_coroutine ? "async " : "") +
           frame.name() + "()";
}

std::string format_stack(std::span<const StackFrame> frames, std::string_view indent) {
    std::string text;
    for (const StackFrame& frame : frames) {
        text += std::string(indent) + to_string(frame) + "\n";
        if (frame.left_out != 0)
            text += std::string(indent) + "... " + std::to_string(frame.left_out) + " more ...\n";
    }
    return text;
}

}  // namespace asyncio
