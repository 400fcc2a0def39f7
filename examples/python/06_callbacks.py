import asyncio
import threading


def read_sensor(number, callback):
    """A library that knows nothing of asyncio: calls back from its own thread."""
    thread = threading.Thread(target=callback, args=(21.5, "") if number == 1 else (0, "broken"))
    thread.start()
    return thread


async def temperature(number):
    loop = asyncio.get_running_loop()
    answer = loop.create_future()

    def finish(value, error):
        if answer.done():  # nobody waits any more: we were cancelled
            return
        if error:
            answer.set_exception(RuntimeError(f"the sensor is {error}"))
        else:
            answer.set_result(value)

    thread = read_sensor(number, lambda *result: loop.call_soon_threadsafe(finish, *result))
    try:
        return await answer
    finally:
        thread.join()


async def weather():
    degrees = await temperature(1)
    print(f"{degrees:.1f} degrees")
    try:
        await temperature(2)
    except RuntimeError as error:
        print(f"no answer: {error}")


asyncio.run(weather())
