"""Makes a sample profile, in clang's text form, of what gcov counted.

    lines.py FOLDER >PROFILE

FOLDER is a build of CPython by gcc with --coverage that has run. Each function that has its share of all counted lines is
written with the count of each of its lines, by their distance from the line of its name (Clang's manual,
"Sample Profile Text Format").

Line numbers of `generated_cases.c.h`, which is the body of the interpreter's loop, count from that function too, as
clang has them: distances have 16 bits.
"""

import collections
import json
import subprocess
import sys
from pathlib import Path

# A function with fewer of all counted lines than this changes nothing that can be measured.
LEAST_SHARE = 2e-6
# What all counts add up to.
SCALE = 10**9
LOOP = "_PyEval_EvalFrameDefault"
LOOP_FILE = "generated_cases.c.h"


def counted(folder):
    """What gcov says of each object file."""
    for data in sorted(folder.rglob("*.gcda")):
        command = ["gcov", "--json-format", "--stdout", data.relative_to(folder)]
        out = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        yield from (json.loads(line)["files"] for line in out.splitlines() if line.startswith(b"{"))


class Function:
    def __init__(self):
        self.calls = 0
        self.lines = collections.Counter()

    def total(self):
        return sum(self.lines.values())


def read(folder):
    """Functions by name; of those that share a name, each by the line where it begins."""
    functions = collections.defaultdict(dict)
    for files in counted(folder):
        places = {}
        for file in files:
            for function in file["functions"]:
                place = (file["file"], function["start_line"])
                places[function["name"]] = place
                found = functions[function["name"]].setdefault(place, Function())
                found.calls += function["execution_count"]
        for file in files:
            otherwise = LOOP if file["file"].endswith(LOOP_FILE) else None
            for line in file["lines"]:
                name = line.get("function_name") or otherwise
                if name in places:
                    distance = (line["line_number"] - places[name][1]) & 0xFFFF
                    functions[name][places[name]].lines[distance] += line["count"]
    return functions


def main():
    functions = read(Path(sys.argv[1]))
    everything = sum(f.total() for namesakes in functions.values() for f in namesakes.values())
    # A profile knows functions by their names: of namesakes the one that runs most is meant.
    chosen = {name: max(namesakes.values(), key=Function.total) for name, namesakes in functions.items()}
    chosen = {name: f for name, f in chosen.items() if f.total() >= everything * LEAST_SHARE}
    unit = max(everything // SCALE, 1)
    for name, function in sorted(chosen.items(), key=lambda item: (-item[1].total(), item[0])):
        print(f"{name}:{function.total() // unit}:{function.calls // unit}")
        for distance, count in sorted(function.lines.items()):
            print(f" {distance}: {count // unit}")


if __name__ == "__main__":
    main()
