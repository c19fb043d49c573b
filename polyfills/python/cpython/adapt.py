"""The changes that CPython needs for the vkernel, made by their text: adapt.py SOURCE.

For a release whose source nobody here has seen, so that no patch can name its lines. A change is looked for in the
places where the releases before and after it have it, and must be found exactly once; else the build ends with what
is to be done. The same changes are patches 01, 02 and 04 of the releases that are built here.
"""
import pathlib
import sys

# What is changed: what for, then for each file that may have it the text, and what takes its place.
CHANGES = [
    ("the platform's name", [
        ("configure", "#   error unknown platform triplet\n#  endif\n# else\n",
         "#   error unknown platform triplet\n#  endif\n# elif defined(__wasm32__)\n        wasm32-linux-musl\n# else\n"),
        ("Misc/platform_triplet.c", "#   error unknown platform triplet\n#  endif\n# else\n",
         "#   error unknown platform triplet\n#  endif\n# elif defined(__wasm32__)\n"
         "PLATFORM_TRIPLET=wasm32-linux-LIBC\n# else\n"),
    ]),
    ("the place where signals arrive", [
        (file, "#define CHECK_EVAL_BREAKER() \\\n",
         '__attribute__((__import_module__("wali"), __import_name__("__signal_checkpoint")))\n'
         "extern void __signal_checkpoint(void);\n\n"
         "#define CHECK_EVAL_BREAKER() \\\n    __signal_checkpoint(); \\\n")
        for file in ["Python/ceval_macros.h", "Python/ceval.c"]
    ]),
    ("the header of checked calls", [
        ("Modules/_ctypes/callproc.c", "#include <ffi.h>\n", "#include <ffi.h>\n#include <ffi_checked.h>\n"),
    ]),
    ("the call of a function", [
        ("Modules/_ctypes/callproc.c", "                ffi_call(&cif, (void *)pProc, resmem, avalues);\n",
         "                int called = ffi_call_checked(&cif, (void (*)(void))pProc, resmem, avalues);\n"),
    ]),
    ("what follows the call", [
        ("Modules/_ctypes/callproc.c", "        Py_BLOCK_THREADS\n    Py_XDECREF(error_object);\n",
         "        Py_BLOCK_THREADS\n    Py_XDECREF(error_object);\n"
         "    if (called != FFI_OK) {\n        char why[256];\n"
         "        ffi_explain(&cif, (void (*)(void))pProc, why, sizeof why);\n"
         "        PyErr_SetString(PyExc_TypeError, why);\n        return -1;\n    }\n"),
    ]),
]


def main():
    source = pathlib.Path(sys.argv[1])
    for what, places in CHANGES:
        found = []
        for name, before, after in places:
            path = source / name
            if path.is_file() and before in path.read_text():
                found.append((path, before, after))
        if len(found) != 1 or found[0][0].read_text().count(found[0][1]) != 1:
            names = ", ".join(name for name, _, _ in places)
            sys.exit(f"adapt.py: {what}: looked for one place in {names} of {source}, found {len(found)} files that "
                     f"have it; add this release's text to CHANGES")
        path, before, after = found[0]
        path.write_text(path.read_text().replace(before, after))
        print(f"adapt.py: {what}: {path.relative_to(source)}")


if __name__ == "__main__":
    main()
