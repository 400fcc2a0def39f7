#!/usr/bin/env python3
"""G6: all orders of turns in everything that two threads touch, by the checker in tests/model/.

usage: g06_models.py [--slice | --nightly] [--only MODEL] [--list]
"""
import os
import sys

build = os.environ.get("ASYNCIO_BUILD_DIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/release")
program = os.path.join(build, "tests/model/g06_models")
os.execv(program, [program, *sys.argv[1:]])
