"""What the benchmarks of pyperformance need of pyperf, in one process: it runs each for about VKERNEL_BENCH_SECONDS,
several times, and prints the least CPU time of one loop as a line of JSON."""

import argparse
import asyncio
import json
import os
import time

SECONDS = float(os.environ.get("VKERNEL_BENCH_SECONDS", "0.5"))
ROUNDS = int(os.environ.get("VKERNEL_BENCH_ROUNDS", "3"))

perf_counter = time.process_time


def python_implementation():
    return "cpython"


def python_has_jit():
    return False


class Runner:
    def __init__(self, *_, **options):
        self.metadata = {}
        self.argparser = argparse.ArgumentParser()
        self.args = None
        self._extend = options.get("add_cmdline_args")

    def parse_args(self, args=None):
        self.args = self.args or self.argparser.parse_args(args)
        return self.args

    def _report(self, name, seconds_of):
        self.parse_args()
        loops = 1
        while (seconds := seconds_of(loops)) < SECONDS / 4:
            loops *= 2
        least = min([seconds / loops] + [seconds_of(loops) / loops for _ in range(ROUNDS)])
        print(json.dumps({"name": name, "seconds": least}), flush=True)

    def bench_func(self, name, function, *args, inner_loops=1, **_):
        def seconds_of(loops):
            began = time.process_time()
            for _ in range(loops):
                function(*args)
            return time.process_time() - began
        self._report(name, seconds_of)

    def bench_time_func(self, name, function, *args, inner_loops=1, **_):
        self._report(name, lambda loops: function(loops, *args))

    def bench_async_func(self, name, function, *args, **_):
        async def several(loops):
            for _ in range(loops):
                await function(*args)

        def seconds_of(loops):
            began = time.process_time()
            asyncio.run(several(loops))
            return time.process_time() - began
        self._report(name, seconds_of)
