import asyncio

running = set()  # the loop refers to tasks weakly: somebody has to keep them


async def letter(name):
    print(f"{asyncio.current_task().get_name()}: to {name}")
    await asyncio.sleep(10)


async def parcel():
    await asyncio.sleep(0.05)
    return 7


async def post_office():
    for name in ("Ada", "Bob"):
        task = asyncio.create_task(letter(name))
        running.add(task)
        task.add_done_callback(running.discard)
    heavy = asyncio.create_task(parcel(), name="parcel")
    heavy.add_done_callback(lambda task: print(f"parcel sent: {task.result()} kg"))
    print("letters are on their way")
    await asyncio.sleep(0.001)
    state = "done" if heavy.done() else "not done"
    print(f"{len(asyncio.all_tasks()) - 1} tasks run, the parcel is {state}")
    weight = await heavy
    print(f"the parcel weighs {weight} kg")


asyncio.run(post_office())
