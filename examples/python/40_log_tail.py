import asyncio
import os
import sys
import tempfile


class Tail:
    """The lines of a file that grows, from its present end on: an async iterator.

    Python has no inotify, so this one asks again and again.
    """

    def __init__(self, path):
        self.path = path
        self.file = open(path)
        self.file.seek(0, os.SEEK_END)
        self.begun = ""  # a line whose end was not written yet

    def __aiter__(self):
        return self

    async def __anext__(self):
        while True:
            more = await asyncio.to_thread(self.file.readline)
            self.begun += more
            if self.begun.endswith("\n"):
                line, self.begun = self.begun, ""
                return line
            if not more:  # all that is there was read
                await self.wait_for_more()

    async def wait_for_more(self):
        await asyncio.sleep(0.01)
        try:
            begun_anew = os.stat(self.path).st_ino != os.fstat(self.file.fileno()).st_ino
        except FileNotFoundError:
            return
        if begun_anew:
            rest = await asyncio.to_thread(self.file.read)
            if rest:
                self.file.seek(self.file.tell() - len(rest))
                return
            self.file.close()
            self.file = open(self.path)


def append(path, text):
    with open(path, "a") as log:
        log.write(text)


async def write_log(path):
    await asyncio.to_thread(append, path, "started\nhalf a line, ")
    await asyncio.to_thread(append, path, "and the rest\nput aside\n")
    await asyncio.to_thread(os.rename, path, path + ".1")
    await asyncio.to_thread(append, path, "begun anew\n")


async def demonstrate(folder):
    path = folder + "/log"
    await asyncio.to_thread(append, path, "before we looked\n")
    tail = Tail(path)
    writing = asyncio.create_task(write_log(path))
    count = 0
    async for line in tail:
        print(f"> {line}", end="")
        count += 1
        if count == 4:
            break
    await writing
    print(f"{count} lines")


async def print_tail(path):
    async for line in Tail(path):
        print(line, end="", flush=True)


try:
    if len(sys.argv) > 1:
        asyncio.run(print_tail(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(demonstrate(folder))
except KeyboardInterrupt:
    sys.exit(130)
