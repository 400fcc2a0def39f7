"""A few of many: what the goals run of a list too long for each push."""
import os
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def turn() -> int:
    """Grows with each commit; where there is no git, or no history, with each day."""
    try:
        counted = subprocess.run(["git", "-C", ROOT, "rev-list", "--count", "HEAD"], capture_output=True, text=True, check=True)
        return int(counted.stdout)
    except (OSError, subprocess.CalledProcessError):
        return int(time.time()) // 86_400


def rotated(names: list[str], count: int) -> list[str]:
    first = turn() * count
    return [names[(first + i) % len(names)] for i in range(count)]
