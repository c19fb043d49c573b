"""Runs the build backend of a source distribution (PEP 517) and collects what it made: see build.sh.

It runs in the build-python, which answers for another machine's Python. What only Python itself could tell
(`platform.machine()`, `os.uname()`) is said here.
"""

import base64
import hashlib
import importlib
import os
import pathlib
import shutil
import sys
import sysconfig
import tomllib
import traceback
import zipfile

HERE = pathlib.Path.cwd()
MACHINE = "wasm32"
STUB = b"vkernel-shared-object"


def say(text):
    print("build.py:", text, flush=True)


def fail(text):
    sys.exit(f"build.py: {text}")


def commands():
    """Commands of what is required, as an installer would make them."""
    for script in HERE.glob("requires/*/*.data/scripts/*"):
        shutil.copy(script, HERE / "bin")
        (HERE / "bin" / script.name).chmod(0o755)
    for info in HERE.glob("requires/*/*.dist-info/entry_points.txt"):
        section = ""
        for line in info.read_text().splitlines():
            line = line.strip()
            if line.startswith("["):
                section = line.strip("[]")
            elif section == "console_scripts" and "=" in line:
                name, target = (part.strip() for part in line.split("=", 1))
                module, function = target.split("[")[0].strip().split(":")
                first = function.split(".")[0]
                script = HERE / "bin" / name
                script.write_text(
                    f"#!{HERE}/bin/python3\nimport sys\nfrom {module} import {first}\n"
                    f"sys.exit({function}())\n"
                )
                script.chmod(0o755)


def config_settings():
    """Lines of `name=value` for the backend; a name that comes twice has a list."""
    settings = {}
    for line in os.environ.get("EXTENSION_CONFIG", "").splitlines():
        if line.strip():
            name, value = line.strip().split("=", 1)
            value = value.replace("{folder}", str(HERE))
            settings.setdefault(name, []).append(value)
    return {name: v[0] if len(v) == 1 else v for name, v in settings.items()} or None


CROSS = """\
[binaries]
c = 'vkcc'
cpp = 'vkc++'
ar = 'vkar'
ranlib = 'vkranlib'
strip = 'true'
pkg-config = 'false'
python = '{here}/bin/python3'
cython = '{here}/bin/cython'

[host_machine]
system = 'linux'
cpu_family = 'wasm32'
cpu = 'wasm32'
endian = 'little'

[properties]
needs_exe_wrapper = true
longdouble_format = 'IEEE_QUAD_LE'

[built-in options]
c_args = {c}
cpp_args = {c}
c_link_args = {ld}
cpp_link_args = {ld}
"""


def cross_file(settings):
    """What Meson is to know of the other machine."""
    words = {"here": HERE, "c": os.environ["CFLAGS"].split(), "ld": os.environ["LDFLAGS"].split()}
    path = HERE / "cross.ini"
    path.write_text(CROSS.format(**words))
    # Variables are for the machine that Meson itself runs on, when there is a cross file.
    for name in ("CC", "CXX", "AR", "CFLAGS", "CXXFLAGS", "LDFLAGS"):
        os.environ.pop(name, None)
    settings = settings or {}
    given = settings.get("setup-args", [])
    settings["setup-args"] = [f"--cross-file={path}"] + ([given] if isinstance(given, str) else given)
    settings.setdefault("compile-args", ["-j2"])
    return settings


def build():
    """The wheel, made by the project's own backend."""
    os.chdir(HERE / "source")
    backend, folders = "setuptools.build_meta:__legacy__", []
    if os.path.exists("pyproject.toml"):
        with open("pyproject.toml", "rb") as file:
            system = tomllib.load(file).get("build-system", {})
        backend = system.get("build-backend", backend)
        folders = system.get("backend-path", [])
    sys.path[:0] = [os.path.abspath(folder) for folder in folders]
    sys.argv = ["setup.py"]
    say(f"backend {backend} for {sysconfig.get_platform()}")
    name, _, attributes = backend.partition(":")
    try:
        found = importlib.import_module(name)
    except ImportError as error:
        fail(
            f"the build backend `{backend}` cannot be imported: {error}; name the package that has it, with its "
            "version, in the extension's `requires`"
        )
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)
    out = HERE / "made"
    out.mkdir()
    settings = config_settings()
    if name == "mesonpy":
        settings = cross_file(settings)
    try:
        file = found.build_wheel(str(out), settings)
    except BaseException as error:
        traceback.print_exc()
        said = HERE / "compiler-error"
        if said.exists() and said.read_text().strip():
            fail(f"it does not compile. The compiler's first error:\n{said.read_text().strip()}")
        fail(f"the build backend failed: {type(error).__name__}: {error}")
    os.chdir(HERE)
    return out / file


def objects_of(stub, archives):
    """The archive that a stub names by the digest of its own name and the archive's bytes (docs/shared-objects.md)."""
    _, name, wanted = stub.decode().split("\n")[:3]
    for archive in archives:
        if "sha256:" + hashlib.sha256(name.encode() + b"\0" + archive).hexdigest() == wanted:
            return archive
    fail(f"the objects of {name} ({wanted}) were not kept when it was built")


def record_line(name, data):
    sum = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    name = f'"{name}"' if "," in name else name
    return f"{name},sha256={sum},{len(data)}\n"


def collect(wheel):
    """The wheel again, the same whenever it is made, and the objects that its stubs stand for."""
    out = HERE / "extension"
    shutil.rmtree(out, ignore_errors=True)
    (out / "libraries").mkdir(parents=True)
    with zipfile.ZipFile(wheel) as made:
        files = {i.filename: (made.read(i), i.external_attr >> 16) for i in made.infolist() if not i.is_dir()}
    archives = [path.read_bytes() for path in (HERE / "archives").iterdir()]
    files = {name: what for name, what in files.items() if not name.endswith(".so.a")}
    count = 0
    for name, (data, _) in sorted(files.items()):
        if data.startswith(b"\x7fELF"):
            fail(f"{name} is machine code of this machine: the build did not use the compiler that it was given")
        if not data.startswith(STUB):
            continue
        count += 1
        folder = out / "libraries" / f"{count:03}"
        folder.mkdir()
        (folder / (os.path.basename(name) + ".a")).write_bytes(objects_of(data, archives))
        (folder / os.path.basename(name)).write_bytes(data)
    record = next(name for name in files if name.endswith(".dist-info/RECORD"))
    del files[record]
    lines = [record_line(name, data) for name, (data, _) in sorted(files.items())]
    files[record] = ("".join(lines + [f"{record},,\n"]).encode(), 0o644)
    with zipfile.ZipFile(out / wheel.name, "w", zipfile.ZIP_DEFLATED) as again:
        for name, (data, mode) in sorted(files.items()):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = (0o100755 if mode & 0o111 else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            again.writestr(info, data)
    (out / "lib").mkdir()
    for library in sorted((HERE / "deps/lib").glob("*.a")):
        shutil.copy(library, out / "lib")
    say(f"{wheel.name}: {count} shared objects")
    if not count and os.environ.get("EXTENSION_PURE") != "1":
        fail("the wheel has no shared object: nothing was compiled")


commands()
collect(build())
