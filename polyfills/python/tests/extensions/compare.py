"""Runs each use of an extension in an image and natively, and compares what they print.

    python3 compare.py [--native COMMAND] [NAME...] -- COMMAND

NAMEs are files of this folder without `.py`; none stands for all. The last COMMAND starts the image's Python, to which
`-P -c TEXT` is added: `polybuild -q run out/app -- /usr/local/bin/python3`. What it is compared with is the Python that runs this,
or the one that `--native` starts (`"chroot ROOT env PYTHONPATH=/packages python3"`): of the same version, with the same
versions of the packages.
"""

import pathlib
import shlex
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
TIME_LIMIT = 600


def run(command, text):
    """Exit status, standard output, standard error, seconds."""
    start = time.monotonic()
    try:
        done = subprocess.run(
            [*command, "-P", "-c", text], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIME_LIMIT
        )
    except subprocess.TimeoutExpired:
        return None, "", f"it did not end within {TIME_LIMIT} seconds", TIME_LIMIT
    return done.returncode, done.stdout, done.stderr, time.monotonic() - start


def main():
    words, command, native = sys.argv[1:], [], [sys.executable]
    if "--" in words:
        at = words.index("--")
        words, command = words[:at], words[at + 1 :]
    if words[:1] == ["--native"] and len(words) > 1:
        native = shlex.split(words[1])
        words = words[2:]
    known = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "compare")
    if not command or not set(words) <= set(known):
        sys.exit(__doc__)
    differ = []
    for name in words or known:
        text = (HERE / f"{name}.py").read_text()
        *there, seconds = run(command, text)
        *here, seconds_here = run(native, text)
        same = there[:2] == here[:2] and here[0] == 0
        print(f"{name}: {'same' if same else 'differs'} ({seconds:.1f} s, natively {seconds_here:.1f} s)", flush=True)
        if not same:
            differ.append(name)
            print("image:", *there, "native:", *here, sep="\n", flush=True)
    print(f"{len(words or known) - len(differ)} passed, {len(differ)} failed")
    sys.exit(f"differ: {' '.join(differ)}" if differ else None)


main()
