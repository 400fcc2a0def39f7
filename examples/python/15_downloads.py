import asyncio


class PartialFile:
    """A file that is complete, or not there."""

    def __init__(self, name, size):
        self.name, self.size, self.parts = name, size, 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.parts < self.size:
            print(f"{self.name}: {self.parts} parts of {self.size} thrown away")


async def download(name, size):
    with PartialFile(name, size) as file:
        while file.parts < size:
            await asyncio.sleep(0.04)
            file.parts += 1
    return f"{name}: {size} parts"


async def browser():
    downloads = [
        asyncio.create_task(download("song", 5)),
        asyncio.create_task(download("movie", 1000)),
        asyncio.create_task(download("photo", 2)),
    ]
    await asyncio.sleep(0.14)
    downloads[1].cancel()
    for result in await asyncio.gather(*downloads, return_exceptions=True):
        print("cancelled" if isinstance(result, asyncio.CancelledError) else result)


asyncio.run(browser())
