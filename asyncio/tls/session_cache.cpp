// SPDX-License-Identifier: MIT
#include <asyncio/tls/session_cache.hpp>

#include <openssl/ssl.h>

namespace asyncio::tls {

SessionCache::~SessionCache() {
    for (const Entry& entry : entries_) SSL_SESSION_free(entry.session);
}

void SessionCache::erase(std::list<Entry>::iterator entry) {
    SSL_SESSION_free(entry->session);
    by_key_.erase(entry->key);
    entries_.erase(entry);
}

void SessionCache::store(const std::string& key, SSL_SESSION* session) {
    const std::lock_guard lock(mutex_);
    if (const auto found = by_key_.find(key); found != by_key_.end()) erase(found->second);
    if (entries_.size() == kSessions) erase(std::prev(entries_.end()));
    std::list<Entry> fresh;  // both or none: whoever gave the session frees it if this throws
    fresh.push_front(Entry{key, session});
    by_key_[key] = fresh.begin();
    entries_.splice(entries_.begin(), fresh);
}

SSL_SESSION* SessionCache::take(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    SSL_SESSION* session = found->second->session;
    SSL_SESSION_up_ref(session);
    if (SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION) erase(found->second);
    return session;
}

std::size_t SessionCache::size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

}  // namespace asyncio::tls
