import asyncio
import random


async def flaky_service(attempt):
    """Hangs twice, refuses once, then answers."""
    if attempt < 3:
        await asyncio.sleep(10)
    if attempt == 3:
        raise ConnectionError("connection refused")
    return 42


async def ask_patiently(attempts):
    backoff = 0.01
    for attempt in range(1, attempts + 1):
        try:
            return await asyncio.wait_for(flaky_service(attempt), 0.05)
        except (ConnectionError, asyncio.TimeoutError) as error:
            if attempt == attempts:
                raise
            problem = str(error) or "no answer"
        delay = backoff + random.uniform(0, backoff)
        print(f"try {attempt}: {problem}; again in {delay * 1000:.0f} ms")
        await asyncio.sleep(delay)
        backoff *= 2


async def program():
    answer = await ask_patiently(5)
    print(f"the service says {answer}")


asyncio.run(program())
