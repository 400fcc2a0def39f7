// SPDX-License-Identifier: MIT
//
// SessionCache: what a client remembers of servers, to resume with fewer messages next time.
//
// One session a key; the key names the server and how it was checked, so that a session made
// without checking is never resumed by a connection that checks. TLS 1.3 tickets are used once
// (RFC 8446, C.4). At most kSessions are kept, the least recently stored goes first.
//
// Threads: any; contexts are shared by the loops of a process.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

struct ssl_session_st;

namespace asyncio::tls {

class SessionCache {
  public:
    static constexpr std::size_t kSessions = 256;

    SessionCache() = default;
    SessionCache(const SessionCache&) = delete;
    SessionCache& operator=(const SessionCache&) = delete;
    ~SessionCache();

    /// Takes over the caller's reference.
    void store(const std::string& key, ssl_session_st* session);
    /// A reference for the caller, or null.
    ssl_session_st* take(const std::string& key);
    std::size_t size() const;

  private:
    struct Entry {
        std::string key;
        ssl_session_st* session;
    };

    void erase(std::list<Entry>::iterator entry);

    mutable std::mutex mutex_;  // guards all below
    std::list<Entry> entries_;  // newest first
    std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace asyncio::tls
