import asyncio


class Editor:
    def __init__(self):
        self.text = ""
        self.history = asyncio.LifoQueue()

    def change(self, to):
        self.history.put_nowait(self.text)
        self.text = to

    async def undo(self):
        self.text = await self.history.get()
        print(f"undo: {self.text}".rstrip())


async def edit():
    editor = Editor()
    editor.change("hello")
    editor.change("hello, world")
    editor.change("hello, big world")
    print(f"text: {editor.text}")
    while not editor.history.empty():
        await editor.undo()
    try:
        editor.history.get_nowait()
    except asyncio.QueueEmpty:
        print("nothing left to undo")


asyncio.run(edit())
