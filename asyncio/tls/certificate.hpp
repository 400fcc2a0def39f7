// SPDX-License-Identifier: MIT
//
// decode: an X.509 certificate as text.
#pragma once

#include <asyncio/stream/ssl_object.hpp>

struct x509_st;

namespace asyncio::tls {

ssl::Certificate decode(const x509_st* certificate);

}  // namespace asyncio::tls
