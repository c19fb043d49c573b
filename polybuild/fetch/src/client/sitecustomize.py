"""Runs in pip's interpreter before pip does, when packages are resolved with their dependencies.

pip evaluates the conditions of requirements ("; python_version < '3.11'") for the interpreter that runs it,
whatever platform it was told to look for. Here they are evaluated for the image's interpreter.

And pip would run the code of a package that another one names by an address, to ask for its metadata.
Nothing is started here but a keyring, which holds the user's own credentials.
"""

import json
import os
import sys

STARTS = {
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
    "subprocess.Popen",
}


def refuse(event, arguments):
    if event not in STARTS:
        return
    if event in ("os.fork", "os.forkpty", "os.system", "pty.spawn"):
        name = event
    else:
        name = os.path.basename(os.fsdecode(arguments[0] or arguments[1][0]))
    if name != "keyring":
        raise PermissionError(f"polybuild lets pip start nothing, and it wanted to start {name}")


sys.addaudithook(refuse)

from pip._vendor.packaging import markers  # noqa: E402

of_this_machine = markers.default_environment
of_the_image = json.loads(os.environ["POLYBUILD_PYTHON"])


def default_environment():
    return {**of_this_machine(), **of_the_image}


markers.default_environment = default_environment

# Errors of this file are ignored by the interpreter: that it ran to its end is to be seen.
with open(os.environ["POLYBUILD_PYTHON_MARK"], "w") as mark:
    mark.write("ran")
