// SPDX-License-Identifier: MIT
//
// asyncio for C++: the umbrella. Every room also has its own headers.
#pragma once

#include <asyncio/base/context_var.hpp>
#include <asyncio/base/error.hpp>
#include <asyncio/base/exception_group.hpp>
#include <asyncio/base/outcome.hpp>
#include <asyncio/base/time.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/file/directory.hpp>
#include <asyncio/file/file.hpp>
#include <asyncio/file/fs.hpp>
#include <asyncio/file/temporary.hpp>
#include <asyncio/file/whole_file.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/create_server.hpp>
#include <asyncio/net/datagram_endpoint.hpp>
#include <asyncio/net/open_connection.hpp>
#include <asyncio/net/sendfile.hpp>
#include <asyncio/net/server.hpp>
#include <asyncio/net/sock.hpp>
#include <asyncio/net/transport_socket.hpp>
#include <asyncio/stream/error.hpp>
#include <asyncio/stream/protocol.hpp>
#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/writer.hpp>
#include <asyncio/subprocess/process.hpp>
#include <asyncio/subprocess/subprocess_transport.hpp>
#include <asyncio/sync/barrier.hpp>
#include <asyncio/sync/condition.hpp>
#include <asyncio/sync/event.hpp>
#include <asyncio/sync/lock.hpp>
#include <asyncio/sync/queue.hpp>
#include <asyncio/sync/semaphore.hpp>
#include <asyncio/sync/thread_queue.hpp>
#include <asyncio/task/as_completed.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/async_exit_stack.hpp>
#include <asyncio/task/async_generator.hpp>
#include <asyncio/task/async_iterator.hpp>
#include <asyncio/task/call_graph.hpp>
#include <asyncio/task/future.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/shield.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/staggered_race.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_group.hpp>
#include <asyncio/task/task_listing.hpp>
#include <asyncio/task/timeout.hpp>
#include <asyncio/task/wait.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/task/with.hpp>
#include <asyncio/task/with_cleanup.hpp>
#include <asyncio/thread/executor.hpp>
#include <asyncio/thread/run_coroutine_threadsafe.hpp>
#include <asyncio/thread/run_in_executor.hpp>
#include <asyncio/thread/serve_on_cores.hpp>
#include <asyncio/thread/thread_pool_executor.hpp>
#include <asyncio/thread/to_thread.hpp>
#include <asyncio/thread/wrap_future.hpp>
#if __has_include(<asyncio/tls/context.hpp>)  // the component asyncio::tls is installed
#include <asyncio/tls/context.hpp>
#endif
