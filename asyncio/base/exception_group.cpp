// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/exception_group.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace asyncio {

struct BaseExceptionGroup::Contents {
    std::string message;
    std::vector<std::exception_ptr> exceptions;
    std::once_flag described;
    std::string text;
    std::atomic<std::size_t> copies{1};
};

namespace {

bool is_standard(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception&) {
        return true;
    } catch (...) {
        return false;
    }
}

/// The group in it, if it is one.
std::optional<BaseExceptionGroup> group_in(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const BaseExceptionGroup& group) {
        return group;
    } catch (...) {
        return std::nullopt;
    }
}

std::exception_ptr cause_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::nested_exception& nested) {
        return nested.nested_ptr();
    } catch (...) {
        return nullptr;
    }
}

void append_indented(std::string& text, const std::string& lines, const char* indentation) {
    for (const char c : lines) {
        text += c;
        if (c == '\n') text += indentation;
    }
}

std::string tree(const std::string& message, const std::vector<std::exception_ptr>& exceptions) {
    std::string text = message + " (" + std::to_string(exceptions.size()) +
                       (exceptions.size() == 1 ? " sub-exception)" : " sub-exceptions)");
    for (const std::exception_ptr& error : exceptions) {
        const char* indentation = &error == &exceptions.back() ? "   " : "|  ";
        text += "\n+- ";
        append_indented(text, describe(error), indentation);
        for (auto cause = cause_of(error); cause; cause = cause_of(cause)) {
            text += "\n";
            text += indentation;
            text += "caused by ";
            append_indented(text, describe(cause), indentation);
        }
    }
    return text;
}

}  // namespace

BaseExceptionGroup::BaseExceptionGroup(std::string_view message,
                                       std::vector<std::exception_ptr> exceptions)
    : contents_(nullptr) {
    if (exceptions.empty())
        throw std::invalid_argument("an exception group needs at least one exception");
    for (const std::exception_ptr& error : exceptions)
        if (!error) throw std::invalid_argument("an exception group cannot hold a null exception");
    auto contents = std::make_unique<Contents>();
    contents->message = message;
    contents->exceptions = std::move(exceptions);
    contents_ = contents.release();
}

BaseExceptionGroup::BaseExceptionGroup(const BaseExceptionGroup& other) noexcept
    : contents_(other.contents_) {
    contents_->copies.fetch_add(1, std::memory_order_relaxed);
}

BaseExceptionGroup& BaseExceptionGroup::operator=(const BaseExceptionGroup& other) noexcept {
    BaseExceptionGroup copy(other);
    std::swap(contents_, copy.contents_);
    return *this;
}

BaseExceptionGroup::~BaseExceptionGroup() {
    if (contents_->copies.fetch_sub(1, std::memory_order_acq_rel) == 1) delete contents_;
}

const std::string& BaseExceptionGroup::message() const noexcept { return contents_->message; }

const std::vector<std::exception_ptr>& BaseExceptionGroup::exceptions() const noexcept {
    return contents_->exceptions;
}

const char* BaseExceptionGroup::what() const noexcept {
    Contents& contents = *contents_;
    try {
        std::call_once(contents.described,
                       [&] { contents.text = tree(contents.message, contents.exceptions); });
        return contents.text.c_str();
    } catch (...) {  // no memory for the tree
        return contents.message.c_str();
    }
}

BaseExceptionGroup::Division::Division() noexcept = default;
BaseExceptionGroup::Division::~Division() = default;
bool BaseExceptionGroup::Division::has_match() const noexcept { return !match.empty(); }
bool BaseExceptionGroup::Division::has_rest() const noexcept { return !rest.empty(); }

void BaseExceptionGroup::divide(Test test, const void* context, Division& found) const {
    auto& [match, rest] = found;
    if (test(context, pointer())) {
        match = exceptions();
        return;
    }
    for (const std::exception_ptr& error : exceptions()) {
        const std::optional<BaseExceptionGroup> inner = group_in(error);
        if (!inner) {
            (test(context, error) ? match : rest).push_back(error);
            continue;
        }
        Division parts;
        inner->divide(test, context, parts);
        if (parts.rest.empty()) {
            match.push_back(error);
        } else if (parts.match.empty()) {
            rest.push_back(error);
        } else {
            match.push_back(make_exception_group(inner->message(), std::move(parts.match)));
            rest.push_back(make_exception_group(inner->message(), std::move(parts.rest)));
        }
    }
}

std::exception_ptr BaseExceptionGroup::pointer() const {
    return make_exception_group(message(), exceptions());
}

void BaseExceptionGroup::raise() const { std::rethrow_exception(pointer()); }

ExceptionGroup::ExceptionGroup(std::string_view message, std::vector<std::exception_ptr> exceptions)
    : BaseExceptionGroup(message, std::move(exceptions)) {
    for (const std::exception_ptr& error : this->exceptions())
        if (!is_standard(error))
            throw std::invalid_argument("an ExceptionGroup holds std::exceptions only: " +
                                        describe(error));
}

std::exception_ptr make_exception_group(std::string_view message,
                                        std::vector<std::exception_ptr> exceptions) {
    for (const std::exception_ptr& error : exceptions)
        if (error && !is_standard(error))
            return std::make_exception_ptr(BaseExceptionGroup(message, std::move(exceptions)));
    return std::make_exception_ptr(ExceptionGroup(message, std::move(exceptions)));
}

}  // namespace asyncio
