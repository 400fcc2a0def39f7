// SPDX-License-Identifier: MIT
//
// What this build may use of the system. ASYNCIO_HAVE_LIBURING comes from the build (0: epoll only,
// nothing of io_uring is compiled in); without one, it is found out here. io_uring needs
// liburing 2.3, the first with names for multishot receive and buffer rings.
#pragma once

#ifndef ASYNCIO_HAVE_LIBURING
#if __has_include(<liburing.h>)
#define ASYNCIO_HAVE_LIBURING 1
#else
#define ASYNCIO_HAVE_LIBURING 0
#endif
#endif
