import asyncio
import signal

handlers = set()


async def work(reader, writer):
    try:
        job = await reader.readline()
        handlers.add(asyncio.current_task())
        if len(handlers) == 2:
            signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0.3 if job == b"quick\n" else 3600)
        writer.write(b"done\n")
        await writer.drain()
    except asyncio.CancelledError:
        pass  # before 3.12 a cancelled handler was reported
    finally:
        writer.close()


async def client(port, job):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{job}\n".encode())
    try:
        answer = await reader.readline()
    except ConnectionError:
        answer = b""
    print(f"{job}: {answer.decode().strip() or 'cut off'}")
    writer.close()


async def serve():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(work, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = asyncio.gather(client(port, "quick"), client(port, "slow"))
    await stop.wait()
    print("the signal came")
    server.close()  # no more clients
    done, late = await asyncio.wait(handlers, timeout=1)
    for handler in late:
        handler.cancel()
    await server.wait_closed()
    await clients
    print("all are gone")


asyncio.run(serve())
