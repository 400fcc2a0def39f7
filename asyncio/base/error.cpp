// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/exception_group.hpp>

#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <typeinfo>

#include <cxxabi.h>

namespace asyncio {

namespace {

std::string demangled(const char* name) {
    int status = 0;
    char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string result = status == 0 && text != nullptr ? text : name;
    std::free(text);
    return result;
}

}  // namespace

/// An exception_ptr of the Itanium ABI is the address of the thrown object, which is the whole
/// object: CancelledError is final. (std::exception_ptr_cast comes with C++26.)
const CancelledError* cancelled_error_in(const std::exception_ptr& error) noexcept {
    if (!error || *error.__cxa_exception_type() != typeid(CancelledError)) return nullptr;
    static_assert(sizeof error == sizeof(CancelledError*) && std::is_final_v<CancelledError>);
    const CancelledError* held = nullptr;
    std::memcpy(&held, static_cast<const void*>(&error), sizeof held);
    return held;
}

bool is_fatal(const std::exception_ptr& error) noexcept {
    if (!error || is_cancelled_error(error)) return false;
    try {
        std::rethrow_exception(error);
    } catch (const FatalException&) {
        return true;
    } catch (...) {
        return false;
    }
}

std::string describe(const std::exception_ptr& error) {
    if (!error) return "no exception";
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return demangled(typeid(e).name()) + ": " + e.what();
    } catch (const CancelledError& e) {
        return e.message().empty() ? "CancelledError" : "CancelledError: " + e.message();
    } catch (const FatalException& e) {
        return e.what();
    } catch (const BaseExceptionGroup& e) {
        return std::string("asyncio::BaseExceptionGroup: ") + e.what();
    } catch (...) {
        return demangled(error.__cxa_exception_type()->name());
    }
}

}  // namespace asyncio
