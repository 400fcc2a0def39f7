import asyncio


async def fetch(path):
    await asyncio.sleep(0.02)
    if path == "/b":
        raise RuntimeError(f"no such page: {path}")
    return f"{path}: {len(path)} bytes"


async def crawl():
    try:
        await asyncio.gather(fetch("/a"), fetch("/b"), fetch("/c"))
    except RuntimeError as error:
        print(f"thrown: {error}")
    pages = map(fetch, ["/a", "/b", "/c"])
    for result in await asyncio.gather(*pages, return_exceptions=True):
        if isinstance(result, Exception):
            print(f"std::runtime_error: {result}")
        else:
            print(result)


asyncio.run(crawl())
