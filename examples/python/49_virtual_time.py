"""Python has no virtual time of its own: a loop whose selector jumps stands in for it."""
import asyncio
import selectors


class JumpingSelector(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout=None):
        self.now += timeout or 0
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self):
        return self.selector.now


class Retry:
    """Try at once, then after 1 s, 2 s, 4 s, ... at most 60 s; give up after ten minutes."""

    async def run(self, attempt):
        return await asyncio.wait_for(self.keep_trying(attempt), 600)

    async def keep_trying(self, attempt):
        pause = 1
        while True:
            try:
                return await attempt()
            except RuntimeError:
                await asyncio.sleep(pause)
            pause = min(pause * 2, 60)


class FlakyService:
    """A service that is down for its first calls; notes when it was called."""

    def __init__(self, failures):
        self.failures = failures
        self.calls = []  # in seconds after the first
        self.first = asyncio.get_running_loop().time()

    async def call(self):
        self.calls.append(int(asyncio.get_running_loop().time() - self.first))
        await asyncio.sleep(0.01)  # it takes its time to fail
        if len(self.calls) <= self.failures:
            raise RuntimeError("down")
        return 42


def check(condition, what):
    print(f"{what:<55} {'ok' if condition else 'FAILED'}")
    assert condition, what


async def pauses_grow_and_are_bounded():
    service = FlakyService(8)
    result = await Retry().run(service.call)
    check(result == 42, "the ninth call succeeds")
    expected = [0, 1, 3, 7, 15, 31, 63, 123, 183]
    check(service.calls == expected, "pauses double up to a minute")


async def gives_up_after_ten_minutes():
    service = FlakyService(1_000_000)
    start = asyncio.get_running_loop().time()
    gave_up = False
    try:
        await Retry().run(service.call)
    except asyncio.TimeoutError:
        gave_up = True
    check(gave_up, "a service that stays down is given up")
    took = asyncio.get_running_loop().time() - start
    check(abs(took - 600) < 1e-6, "after ten minutes, to the nanosecond")


for test in (pauses_grow_and_are_bounded, gives_up_after_ten_minutes):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test())
print("13 minutes and 3 seconds of waiting, tested")
