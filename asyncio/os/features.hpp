// SPDX-License-Identifier: MIT
//
// What this build may use of the system. ASYNCIO_HAVE_LIBURING comes from the build (0: epoll only,
// nothing of io_uring is compiled in); without one, it is found out here. Before liburing 2.3 there
// are no names for multishot receive and buffer rings, and epoll serves.
#pragma once

#ifndef ASYNCIO_HAVE_LIBURING
#if __has_include(<liburing.h>)
#define ASYNCIO_HAVE_LIBURING 1
#else
#define ASYNCIO_HAVE_LIBURING 0
#endif
#endif

#if ASYNCIO_HAVE_LIBURING
#include <liburing.h>
#ifndef IORING_RECV_MULTISHOT
#undef ASYNCIO_HAVE_LIBURING
#define ASYNCIO_HAVE_LIBURING 0
#endif
#endif
