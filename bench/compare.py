#!/usr/bin/env python3
"""Runs the floor and ours in turn and prints medians and their ratio.

usage: compare.py [--rounds N] FLOOR OURS [-- ARGUMENT...]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys


def lines(program: str, group: str, arguments: list[str]) -> list[dict]:
    """One thread's benchmarks stay on one CPU, so that nothing migrates."""
    cpus = os.sched_getaffinity(0)
    chosen = {min(cpus)} if group == "st" else cpus
    run = subprocess.run([program, group, *arguments], stdout=subprocess.PIPE, text=True, check=False,
                         preexec_fn=lambda: os.sched_setaffinity(0, chosen))
    if run.returncode != 0:
        print(f"{program} {group}: exit status {run.returncode}", file=sys.stderr)
    return [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("floor")
    parser.add_argument("ours")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    values: dict[str, dict[str, list[float]]] = {}
    units = {}
    for _ in range(options.rounds):
        for group in ("st", "mt"):
            for who, program in (("floor", options.floor), ("ours", options.ours)):
                for line in lines(program, group, options.arguments):
                    units[line["bench"]] = line["unit"]
                    values.setdefault(line["bench"], {}).setdefault(who, []).append(line["value"])
    print("| bench | unit | ours | floor | ours / floor |\n|---|---|--:|--:|--:|")
    for bench, by in values.items():
        if "ours" not in by:
            continue  # a row of another program
        middle = {who: statistics.median(found) for who, found in by.items()}
        ours, floor = (f"{middle[who]:.4g}" if who in middle else "" for who in ("ours", "floor"))
        ratio = f"{middle['ours'] / middle['floor']:.2f}" if len(middle) == 2 else ""
        print(f"| {bench} | {units[bench]} | {ours} | {floor} | {ratio} |")


main()
