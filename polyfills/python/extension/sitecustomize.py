"""What the build-python says of the machine, where sysconfig is not asked: it is the one that is built for.

And names of temporary folders are the same in every build, since compilers write them into what they make.
"""

import os
import platform
import random
import tempfile

_own = os.uname()
os.uname = lambda: os.uname_result(("Linux", _own[1], _own[2], _own[3], "wasm32"))
platform.machine = lambda: "wasm32"
platform.processor = lambda: "wasm32"
platform.libc_ver = lambda *_args, **_words: ("", "")

_names = random.Random(0)
tempfile._RandomNameSequence.rng = property(lambda _self: _names)
