import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE


class Pipe:
    def __init__(self):
        self.ends = list(os.pipe())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        """Both ends are the programs' now. As long as we had one, no reader would see the end."""
        for end in self.ends:
            if end is not None:
                os.close(end)

    def take_read_end(self):
        end, self.ends[0] = self.ends[0], None
        return end


async def run_pipeline(programs):
    running = []
    previous = DEVNULL
    for i, program in enumerate(programs):
        last = i + 1 == len(programs)
        with Pipe() as link:
            output = PIPE if last else link.ends[1]
            process = await asyncio.create_subprocess_exec(
                *program, stdin=previous, stdout=output
            )
            running.append(process)
            if previous != DEVNULL:
                os.close(previous)
            previous = link.take_read_end()
    os.close(previous)
    out, _ = await running[-1].communicate()
    codes = []
    for process in running:
        code = await process.wait()
        codes.append(code)
    return out.decode(), codes


async def count_words():
    programs = [
        ["printf", "%s\\n", "to", "be", "or", "not", "to", "be", "or", "what"],
        ["sort"],
        ["uniq", "-c"],
        ["awk", "$1 > 1 { print $1, $2 }"],
    ]
    out, codes = await run_pipeline(programs)
    print(out, end="")
    print("ended with", *codes)

    shell = await asyncio.create_subprocess_shell(
        "printf '%s\\n' to be or not to be or what | "
        "sort | uniq -c | awk '$1 > 1 { print $1, $2 }'",
        stdout=PIPE,
    )
    again, _ = await shell.communicate()
    print(f"the shell says {'the same' if again.decode() == out else again.decode()}")


asyncio.run(count_words())
