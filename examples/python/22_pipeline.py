import asyncio
from collections import Counter


async def worker(texts, findings):
    while (text := await texts.get()) is not None:
        await asyncio.sleep(0.001)  # as if it were hard
        await findings.put(Counter(text))


async def add_up(findings):
    total = Counter()
    while (counts := await findings.get()) is not None:
        total += counts
    return total


async def count_letters():
    texts = asyncio.Queue(4)
    findings = asyncio.Queue(4)
    total = asyncio.create_task(add_up(findings))
    async with asyncio.TaskGroup() as pool:
        for _ in range(3):
            pool.create_task(worker(texts, findings))
        for i in range(100):
            await texts.put("banana" if i % 2 == 0 else "cab")
        for _ in range(3):
            await texts.put(None)  # the workers finish what there is, and end
    await findings.put(None)
    counts = await total
    for c, n in sorted(counts.items()):
        print(c, n)


asyncio.run(count_letters())
