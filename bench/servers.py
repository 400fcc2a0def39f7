#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Servers under the same load, interleaved: servers.py [--rounds N] LOAD CONNS:BYTES,... NAME=COMMAND...

A COMMAND's port is appended, and leading K=V words are put in its environment; LOAD prints a JSON
line with "value". Servers run on CPU 0, the load on CPU 1, both at real-time priority where that is
allowed. Prints medians: messages a second, and the server's CPU time per message, which stays
meaningful where the load is the slower side. Compare within one run only.
"""
import json
import os
import random
import statistics
import subprocess
import sys
import time

SECS = 0.8
TICK = os.sysconf("SC_CLK_TCK")


def pinned(cpu, words):
    real_time = ["chrt", "-r", "20"] if os.geteuid() == 0 else []
    return ["taskset", "-c", str(cpu), *real_time, "env", *words]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def measure(load, conns, size, name, command):
    port = str(random.randint(20000, 29999))
    server = subprocess.Popen(pinned(0, command.split() + [port]), stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        before = cpu_seconds(server.pid)
        words = load.split() + ["--conns", conns, "--size", size, "--secs", str(SECS), "--impl", name, port]
        output = subprocess.run(pinned(1, words), capture_output=True, text=True, timeout=30, check=True).stdout
        rate = json.loads(output)["value"]
        return rate, (cpu_seconds(server.pid) - before) * 1e6 / (rate * SECS)
    finally:
        server.kill()
        server.wait()


def main(words):
    rounds = 3
    if words[0] == "--rounds":
        rounds, words = int(words[1]), words[2:]
    load, rows, servers = words[0], words[1].split(","), [word.split("=", 1) for word in words[2:]]
    for row in rows:
        conns, size = row.split(":")
        results = {name: [] for name, _ in servers}
        for _ in range(rounds):
            for name, command in random.sample(servers, len(servers)):
                results[name].append(measure(load, conns, size, name, command))
        print(f"\n{conns} connections x {size} bytes\n| server | msg/s | min..max | server us/msg |\n|---|--:|--:|--:|")
        for name, values in sorted(results.items(), key=lambda item: -statistics.median(v[0] for v in item[1])):
            rates = [rate for rate, _ in values]
            cpu = statistics.median(us for _, us in values)
            print(f"| {name} | {statistics.median(rates):.0f} | {min(rates):.0f}..{max(rates):.0f} | {cpu:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
