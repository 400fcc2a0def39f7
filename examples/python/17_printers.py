import asyncio

at_work = 0
most = 0


async def print_document(document, printers):
    global at_work, most
    async with printers:
        at_work += 1
        most = max(most, at_work)
        print(f"printing {document}")
        await asyncio.sleep(0.02)
        at_work -= 1


async def office():
    printers = asyncio.Semaphore(2)
    await asyncio.gather(*(print_document(n, printers) for n in range(1, 6)))
    print(f"at most {most} at work")


asyncio.run(office())
