// SPDX-License-Identifier: MIT
//
// ASYNCIO_THREAD_SANITIZER is defined where ThreadSanitizer looks on. It keeps a history for each
// descriptor's number and knows only the C library's calls: what opens or closes past those has to
// be told to it, or done otherwise.
#pragma once

#if defined(__SANITIZE_THREAD__)
#define ASYNCIO_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ASYNCIO_THREAD_SANITIZER 1
#endif
#endif
