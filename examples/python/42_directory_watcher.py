"""Python's library has no inotify: ctypes has to fetch it."""
import asyncio
import ctypes
import os
import shutil
import signal
import struct
import sys
import tempfile
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
NAMES = {
    0x8: "written", 0x40: "moved_from", 0x80: "moved_to", 0x100: "created", 0x200: "removed",
    0x400: "gone", 0x4000: "overflow",
}
IN_ISDIR, IN_IGNORED = 0x40000000, 0x8000
HEAD = struct.Struct("iIII")


class Watch:
    """What happens in a directory: an async iterator."""

    def __init__(self, folder):
        self.fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if libc.inotify_add_watch(self.fd, os.fsencode(folder), sum(NAMES) & ~0x4000) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
        self.changes = asyncio.Queue()
        asyncio.get_running_loop().add_reader(self.fd, self.read)

    def read(self):
        data = os.read(self.fd, 65536)
        while data:
            _, mask, _, size = HEAD.unpack_from(data)
            name = data[HEAD.size:HEAD.size + size].rstrip(b"\0").decode()
            data = data[HEAD.size + size:]
            if mask & IN_IGNORED:
                return self.close()
            self.changes.put_nowait((NAMES[mask & ~IN_ISDIR], name, bool(mask & IN_ISDIR)))

    def close(self):
        if self.fd >= 0:
            asyncio.get_running_loop().remove_reader(self.fd)
            os.close(self.fd)
            self.fd = -1
            self.changes.put_nowait(None)

    def __aiter__(self):
        return self

    async def __anext__(self):
        change = await self.changes.get()
        if change is None:
            raise StopAsyncIteration
        return change


async def print_changes(watch):
    async for kind, name, is_dir in watch:
        if kind == "overflow":
            print("too much at once: look for yourself")
        if kind == "gone":
            print("the directory is gone")
        if name:
            print(f"{kind:<10} {name}{'/' if is_dir else ''}", flush=True)


async def be_busy(folder):
    await asyncio.to_thread((folder / "letter").write_text, "Dear ...")
    await asyncio.to_thread(os.rename, folder / "letter", folder / "answered")
    await asyncio.to_thread((folder / "drawer").mkdir)
    await asyncio.to_thread((folder / "answered").unlink)
    await asyncio.to_thread(shutil.rmtree, folder)


async def demonstrate(folder):
    watched = folder / "desk"
    await asyncio.to_thread(watched.mkdir)
    watch = Watch(watched)
    await asyncio.gather(print_changes(watch), be_busy(watched))


async def watch_until_told(folder):
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    watch = Watch(folder)
    print(f"watching {folder}", flush=True)
    printing = asyncio.create_task(print_changes(watch))
    await stop.wait()
    watch.close()  # ends the iteration
    await printing
    print("bye")


if len(sys.argv) > 1:
    asyncio.run(watch_until_told(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(demonstrate(Path(directory)))
