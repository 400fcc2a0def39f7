// SPDX-License-Identifier: MIT
//
// ContextState: what the copies of an SSLContext and the connections made with them share: the
// certificates, the trusted ones, the protocols offered, the sessions to resume.
//
// It is set up by one thread; then connections of any thread use it (OpenSSL's own rule for
// SSL_CTX). The callback of server names is called in the thread of the connection.
#pragma once

#include <asyncio/base/shared.hpp>
#include <asyncio/base/unique_function.hpp>
#include <asyncio/tls/session_cache.hpp>

#include <memory>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace asyncio::tls {

struct ContextState {
    using NameCallback = UniqueFunction<Shared<ContextState>(std::string_view)>;

    ContextState();
    ContextState(const ContextState&) = delete;
    ContextState& operator=(const ContextState&) = delete;
    ~ContextState();

    ssl_ctx_st* native;
    std::string alpn_wire;        // each name with its length before it
    NameCallback on_server_name;  // null result: go on with this context
    SessionCache sessions;
};

}  // namespace asyncio::tls
