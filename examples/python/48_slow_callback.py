import asyncio
import logging
import sys
import time


async def load():
    print("loading", flush=True)
    time.sleep(0.4)  # blocks the loop: await asyncio.sleep(0.4) would not
    print("loaded", flush=True)


async def program():
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
    asyncio.get_running_loop().slow_callback_duration = 0.2
    await asyncio.create_task(load(), name="loader")


asyncio.run(program(), debug=True)
