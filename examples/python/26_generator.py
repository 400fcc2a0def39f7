import asyncio


class Thermometer:
    async def __aenter__(self):
        await asyncio.sleep(0.01)  # it warms up
        print("on")
        return self

    async def __aexit__(self, *error):
        await asyncio.sleep(0.01)
        print("off")
        return False  # an exception passes

    async def readings(self):
        degrees = 20
        while True:
            await asyncio.sleep(0.01)
            yield degrees
            degrees += 1


async def watch():
    async with Thermometer() as thermometer:
        async for degrees in thermometer.readings():
            print(f"{degrees} degrees")
            if degrees == 22:
                break


asyncio.run(watch())
