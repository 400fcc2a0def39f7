import asyncio
import os
import shutil
import tempfile
from pathlib import Path


def write_poem(path, verses):
    with open(path, "w") as file:
        for i in range(1, verses + 1):
            file.write(f"verse {i}\n")


def count_lines(path):
    with open(path) as file:
        return sum(1 for line in file)


def write_atomic(path, text):
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


async def use_files(folder):
    poems = [folder / f"poem-{i}" for i in range(1, 4)]
    for i, poem in enumerate(poems):
        await asyncio.to_thread(write_poem, poem, 1000 * (i + 1))
    lines = await asyncio.gather(*(asyncio.to_thread(count_lines, poem) for poem in poems))
    print("lines:", *lines)
    await asyncio.to_thread(write_atomic, poems[0], "all in one piece\n")
    poem = await asyncio.to_thread(poems[0].read_text)
    print(poem, end="")
    copy = await asyncio.to_thread(shutil.copy, poems[1], folder / "copy")
    names = await asyncio.to_thread(os.listdir, folder)
    print(f"{len(names)} files, one of them a copy of {os.path.getsize(copy)} bytes")


with tempfile.TemporaryDirectory() as directory:
    asyncio.run(use_files(Path(directory)))
