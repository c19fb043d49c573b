"""Compiles every .py file below the folders that it is given: run by the image's own Python."""

import os
import py_compile
import sys

# What is compiled is used whatever the times of files are, and is the same in every build.
MODE = py_compile.PycInvalidationMode.UNCHECKED_HASH

for top in sys.argv[1:]:
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            path = os.path.join(folder, name)
            if not name.endswith(".py") or os.path.islink(path):
                continue
            try:
                py_compile.compile(path, doraise=True, invalidation_mode=MODE)
            except Exception as error:
                # Templates and files for other versions are no reason to fail: importing one would.
                print(f"{path}: {type(error).__name__}")
