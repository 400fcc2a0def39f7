import asyncio
import os
import sys
import tempfile

AT_ONCE = 16
PIECE = 1 << 16  # bytes


def add_to_sum(total, data):
    """FNV-1a, 64 bits. Not against attackers."""
    for byte in data:
        total = (total ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return total


async def checksum(path):
    file = await asyncio.to_thread(open, path, "rb", buffering=0)
    with file:
        total = 0xCBF29CE484222325
        while piece := await asyncio.to_thread(file.read, PIECE):
            total = await asyncio.to_thread(add_to_sum, total, piece)
    return total


async def line_for(room, root, name):
    async with room:
        try:
            total = await checksum(f"{root}/{name}")
        except OSError as error:  # one bad file does not stop the others
            return str(error)
    return f"{total:016x}  {name}"


async def print_checksums(root):
    room = asyncio.Semaphore(AT_ONCE)
    lines = []
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.relpath(os.path.join(folder, name), root)
            lines.append(line_for(room, root, path))
    sums = await asyncio.gather(*lines)
    for line in sorted(sums, key=lambda line: line[18:]):
        print(line)
    print(f"{len(sums)} files")


def write_file(path, text):
    with open(path, "w") as file:
        file.write(text)


async def demonstrate(folder):
    await asyncio.to_thread(os.makedirs, folder + "/sub")
    await asyncio.to_thread(write_file, folder + "/greeting", "hello")
    await asyncio.to_thread(write_file, folder + "/empty", "")
    await asyncio.to_thread(write_file, folder + "/sub/million", "a" * 1_000_000)
    await print_checksums(folder)


if len(sys.argv) > 1:
    asyncio.run(print_checksums(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(demonstrate(directory))
