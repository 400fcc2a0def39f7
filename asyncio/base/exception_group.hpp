// SPDX-License-Identifier: MIT
//
// ExceptionGroup: several exceptions raised together; what a TaskGroup throws.
//
//     catch (const asyncio::ExceptionGroup& eg) {
//         for (const std::exception_ptr& e : eg.exceptions()) ...
//         auto [io, rest] = eg.split<std::system_error>();
//         if (rest) rest->raise();
//     }
//
// An ExceptionGroup is a std::exception and holds only such (and groups of such). A group with
// anything else in it, a CancelledError or a thrown int, is a BaseExceptionGroup, which is none, as
// its contents are not caught by `catch (const std::exception&)` either; BaseExceptionGroup is also
// the base of ExceptionGroup, so catching that takes both. Groups nest; what() prints the tree of
// all that is inside, with what each was caused by (std::throw_with_nested).
//
// Copies share the contents, which never change. Threads: any.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace asyncio {

/// What split() gives: the part that matched and the others, each a group or nothing.
template <class Group>
struct GroupSplit {
    std::optional<Group> match;
    std::optional<Group> rest;
};

class BaseExceptionGroup {
  public:
    /// std::invalid_argument if there is no exception in it, or a null one.
    BaseExceptionGroup(std::string_view message, std::vector<std::exception_ptr> exceptions);
    BaseExceptionGroup(const BaseExceptionGroup& other) noexcept;
    BaseExceptionGroup& operator=(const BaseExceptionGroup& other) noexcept;
    virtual ~BaseExceptionGroup();

    const std::string& message() const noexcept;
    /// In the order given; those of a TaskGroup in the order in which they came.
    const std::vector<std::exception_ptr>& exceptions() const noexcept;
    /// The message and the tree of everything inside.
    virtual const char* what() const noexcept;

    /// Part by type (a leaf or a whole nested group that an `E` handler would catch), or by
    /// `matches(const std::exception_ptr&)`. The parts keep the nesting and the messages. Gives a
    /// GroupSplit<BaseExceptionGroup> (`auto`, so that only who asks for it compiles it).
    template <class E>
    auto split() const {
        return split(&holds<E>);
    }
    template <class P>
        requires std::is_invocable_r_v<bool, const P&, const std::exception_ptr&>
    auto split(const P& matches) const {
        return split_as<BaseExceptionGroup>(matches);
    }
    /// Only the part that matches: a std::optional<BaseExceptionGroup>.
    template <class E>
    auto subgroup() const {
        return split<E>().match;
    }
    template <class P>
        requires std::is_invocable_r_v<bool, const P&, const std::exception_ptr&>
    auto subgroup(const P& matches) const {
        return split(matches).match;
    }

    /// Throw it: as an ExceptionGroup if all that is inside are std::exceptions.
    [[noreturn]] void raise() const;
    /// What raise() throws, caught.
    std::exception_ptr pointer() const;

  protected:
    template <class Group, class P>
    GroupSplit<Group> split_as(const P& matches) const {
        Division found;
        divide(
            [](const void* test, const std::exception_ptr& e) -> bool {
                return (*static_cast<const P*>(test))(e);
            },
            &matches, found);
        GroupSplit<Group> parts;
        if (found.has_match()) parts.match.emplace(message(), std::move(found.match));
        if (found.has_rest()) parts.rest.emplace(message(), std::move(found.rest));
        return parts;
    }
    template <class E>
    static bool holds(const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const E&) {
            return true;
        } catch (...) {
            return false;
        }
    }

  private:
    struct Contents;
    using Test = bool (*)(const void*, const std::exception_ptr&);

    struct Division {
        Division() noexcept;
        ~Division();
        bool has_match() const noexcept;
        bool has_rest() const noexcept;

        std::vector<std::exception_ptr> match;
        std::vector<std::exception_ptr> rest;
    };

    void divide(Test test, const void* context, Division& found) const;

    Contents* contents_;  // shared by the copies
};

class ExceptionGroup final : public BaseExceptionGroup, public std::exception {
  public:
    /// std::invalid_argument, too, if one of them is not a std::exception.
    ExceptionGroup(std::string_view message, std::vector<std::exception_ptr> exceptions);

    const char* what() const noexcept override { return BaseExceptionGroup::what(); }

    template <class E>
    auto split() const {
        return split(&holds<E>);
    }
    template <class P>
        requires std::is_invocable_r_v<bool, const P&, const std::exception_ptr&>
    auto split(const P& matches) const {
        return split_as<ExceptionGroup>(matches);
    }
    template <class E>
    auto subgroup() const {
        return split<E>().match;
    }
    template <class P>
        requires std::is_invocable_r_v<bool, const P&, const std::exception_ptr&>
    auto subgroup(const P& matches) const {
        return split(matches).match;
    }
};

/// A group as something to rethrow: an ExceptionGroup if all are std::exceptions, otherwise a
/// BaseExceptionGroup.
std::exception_ptr make_exception_group(std::string_view message,
                                        std::vector<std::exception_ptr> exceptions);

}  // namespace asyncio
