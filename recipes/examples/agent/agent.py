"""Runs commands: a line of JSON in for each, a line of JSON out.

A command that takes too long is ended with all that it started. What it says is cut where it says too much.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile

MOST_OUTPUT = 64 * 1024


def said(file):
    file.seek(0)
    text = file.read(MOST_OUTPUT + 1)
    cut = text[:MOST_OUTPUT].decode(errors="replace")
    return cut + "…" if len(text) > MOST_OUTPUT else cut


def run(command, timeout):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            ["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        try:
            answer = {"status": process.wait(timeout)}
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            answer = {"status": None, "problem": f"ended after {timeout} s"}
        return answer | {"stdout": said(out), "stderr": said(err)}


def answer(line):
    try:
        wish = json.loads(line)
        command, timeout = wish["run"], float(wish.get("timeout", 10))
        if not isinstance(command, str) or not 0 < timeout <= 3600:
            raise ValueError("`run` is a text, `timeout` a number of seconds up to 3600")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return {"status": None, "problem": f"not understood: {error!r}"}
    return run(command, timeout)


for line in sys.stdin:
    print(json.dumps(answer(line), ensure_ascii=False), flush=True)
