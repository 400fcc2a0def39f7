import asyncio
from dataclasses import dataclass, field
from itertools import count

arrivals = count()


@dataclass(order=True)
class Job:
    urgency: int  # 0 is the most urgent
    what: str = field(compare=False)
    arrival: int = field(default_factory=lambda: next(arrivals))  # of equals the oldest


async def nurse(waiting_room):
    while not waiting_room.empty():
        job = await waiting_room.get()
        print(job.urgency, job.what)
    print("going home")


async def hospital():
    waiting_room = asyncio.PriorityQueue()
    waiting_room.put_nowait(Job(2, "sprained ankle"))
    waiting_room.put_nowait(Job(3, "sore throat"))
    waiting_room.put_nowait(Job(0, "heart attack"))
    waiting_room.put_nowait(Job(2, "cut finger"))
    waiting_room.put_nowait(Job(1, "broken arm"))
    await nurse(waiting_room)


asyncio.run(hospital())
