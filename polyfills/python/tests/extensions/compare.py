"""Runs each use of an extension in an image and natively, and compares what they print.

    python3.13 compare.py NAMES -- COMMAND

NAMES are files of this folder without `.py`, or none for all. COMMAND starts the image's Python, to which `-P -c TEXT` is
added: `polybuild -q run out/app -- /usr/local/bin/python3`. The Python that runs this is the one to compare with, and has
the packages, of the same versions.
"""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent


def run(command, text):
    done = subprocess.run(
        [*command, "-P", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600
    )
    return done.returncode, done.stdout, done.stderr


def main():
    names, command = sys.argv[1:], []
    if "--" in names:
        at = names.index("--")
        names, command = names[:at], names[at + 1:]
    if not command:
        sys.exit(__doc__)
    names = names or sorted(p.stem for p in HERE.glob("*.py") if p.stem != "compare")
    wrong = 0
    for name in names:
        text = (HERE / f"{name}.py").read_text()
        there, here = run(command, text), run([sys.executable], text)
        same = there[:2] == here[:2] and here[0] == 0
        wrong += not same
        print(f"{name}: {'same' if same else 'differs'}", flush=True)
        if not same:
            print("image:", *there, "\nnative:", *here, sep="\n")
    sys.exit(f"{wrong} of {len(names)} differ" if wrong else None)


main()
