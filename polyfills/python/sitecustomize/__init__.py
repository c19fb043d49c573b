"""Lets pip say what can be done about a package that has machine code alone (`explain.py`).

It lies in the standard library's folder, so that the pip of a virtual environment says it too. A program that is not
pip gets nothing of it, and a `sitecustomize` that lies elsewhere on `sys.path` is imported in its place.
"""

import sys
from importlib.machinery import PathFinder

# `pip`, `python3 -m pip`, and what pip starts itself.
if any("pip" in word for word in sys.orig_argv[1:5]):
    from . import explain


def the_users_own():
    mine = __path__[0].rpartition("/")[0]
    spec = PathFinder.find_spec(__name__, [folder for folder in sys.path if folder != mine])
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        module = sys.modules[__name__] = module_from_spec(spec)
        spec.loader.exec_module(module)


the_users_own()
