import asyncio
import multiprocessing
import os
import sys


async def echo(reader, writer):
    async for line in reader:
        with lines_echoed.get_lock():
            lines_echoed.value += 1
        writer.write(line)
        await writer.drain()
    writer.close()


async def serve(port, core):
    server = await asyncio.start_server(echo, "127.0.0.1", port, reuse_port=True)
    os.write(1, f"core {core} listens\n".encode())  # at once, or lines mix
    async with server:
        await server.serve_forever()


def run_core(port, core, counter):
    global lines_echoed  # all that the processes share
    lines_echoed = counter
    try:
        asyncio.run(serve(port, core))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8888
    counter = multiprocessing.Value("i", 0)
    cores = [
        multiprocessing.Process(target=run_core, args=(port, core, counter))
        for core in range(len(os.sched_getaffinity(0)))
    ]
    for process in cores:
        process.start()
    try:
        for process in cores:
            process.join()
    except KeyboardInterrupt:
        for process in cores:
            process.terminate()
        print(f"{counter.value} lines")
