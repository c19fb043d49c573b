"""What projects in Rust name as their build backend: makes a wheel of a crate that is an extension of Python.

It is not maturin, and takes its place: it does what such a project's `pyproject.toml` asks of that, as far as
extensions by PyO3 need it, without network and without a linker that knows shared libraries. cargo makes an
archive of the crate and of all crates that it uses, std included; `vkcc -shared` makes of that a stub, which offers the
module's `PyInit_` function and nothing else, and the objects that the stub stands for.

The step's folder holds `crates/`, what the project's lock file names, each crate in a folder `NAME-VERSION`.
"""

import base64
import email
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile

HERE = pathlib.Path(__file__).resolve().parent.parent
ARCHIVES = ("-lc", "-lgcc_s", "-lgcc")


def say(text):
    print("maturin.py:", text, flush=True)


def fail(text):
    sys.exit(f"maturin.py: {text}")


def run(words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    if done.returncode:
        # The compiler's first error, then the end of what was said.
        first = done.stdout.find("\nerror")
        if first >= 0:
            print(done.stdout[first : first + 4000])
        print(done.stdout[-4000:])
        fail(f"failed with status {done.returncode}: {' '.join(map(str, words))}")
    return done.stdout


def take_our_libc(lock):
    """Says in the lock file that the crate `libc` is the one beside std: others have another machine's types."""
    own = pathlib.Path(os.environ["VKRUST_SYSROOT"], "libc")
    with open(own / "Cargo.toml", "rb") as file:
        version = tomllib.load(file)["package"]["version"]
    packages = lock.read_text().split("[[package]]\n")
    found = False
    for at, package in enumerate(packages):
        if package.startswith('name = "libc"\n'):
            found = True
            text = re.sub(r'^version = ".*"$', f'version = "{version}"', package, flags=re.M)
            packages[at] = re.sub(r"^(source|checksum) = .*\n", "", text, flags=re.M)
    if not found:
        return []
    lock.write_text("[[package]]\n".join(packages))
    return ["--config", f'patch.crates-io.libc.path="{own}"']


def settings_of_pyo3():
    """What PyO3 asks a Python, answered for the one that the extension is for."""
    version = ".".join(map(str, sys.version_info[:2]))
    path = HERE / "pyo3.txt"
    path.write_text(
        f"implementation=CPython\nversion={version}\nshared=false\nabi3=false\npointer_width=32\nbuild_flags=\n"
        "suppress_build_script_link_lines=true\n"
    )
    return {"PYO3_CROSS": "1", "PYO3_NO_PYTHON": "1", "PYO3_CONFIG_FILE": str(path)}


def compile_crate(manifest, features):
    """The archive, and what is to be linked with it."""
    with open(manifest, "rb") as file:
        crate = tomllib.load(file)
    name = crate.get("lib", {}).get("name") or crate["package"]["name"].replace("-", "_")
    lock = next((f / "Cargo.lock" for f in [manifest.parent, *manifest.parents] if (f / "Cargo.lock").is_file()), None)
    if lock is None:
        fail(f"there is no Cargo.lock beside or above {manifest}: it says which crates are used")
    target = HERE / "target"
    words = [os.environ["CARGO"], "rustc", "--release", "--lib", "--crate-type=staticlib", "--offline", "--locked"]
    words += ["--manifest-path", str(manifest), "--target-dir", str(target)]
    words += ["--config", 'source.crates-io.replace-with="crates"', "--config", f'source.crates.directory="{HERE}/crates"']
    words += ["--config", "profile.release.strip=false"]
    words += take_our_libc(lock)
    if features:
        words += ["--features", ",".join(features)]
    # A toolchain file would be rustup's business.
    words += ["--", "--print=native-static-libs"]
    said = run(words, env={**os.environ, **settings_of_pyo3()})
    libraries = re.findall(r"native-static-libs: (.*)", said)
    libraries = libraries[-1].split() if libraries else []
    archive = target / os.environ["CARGO_BUILD_TARGET"] / "release" / f"lib{name}.a"
    return name, archive, [word for word in libraries if word not in ARCHIVES]


def make_stub(archive, libraries, module, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    words = ["vkcc", "-pthread", "-mtrust-objects", "-shared", "-o", path, f"-Wl,--export=PyInit_{module}", archive]
    run([*words, *libraries])


def python_files(root, packages):
    """Files of the project that are in Python, and what lies among them."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".so", ".rs"):
                found[str(path.relative_to(root))] = path.read_bytes()
    return found


def contents(root, maturin, lib, stub_of):
    """The wheel's files besides what describes it, and where the stub lies in it."""
    dotted = maturin.get("module-name", lib)
    module = dotted.rpartition(".")[2]
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    source = root / maturin.get("python-source", ".")
    package = dotted.split(".")[0]
    packages = maturin.get("python-packages") or [package]
    files = {}
    if (source / package / "__init__.py").is_file():
        files = python_files(source, packages)
        place = dotted if "." in dotted else f"{package}.{module}"
    else:
        # A package that has what the module has.
        place = f"{module}.{module}"
        files[f"{module}/__init__.py"] = (
            f"from . import {module} as _module\nfrom .{module} import *\n\n__doc__ = _module.__doc__\n"
            'if hasattr(_module, "__all__"):\n    __all__ = _module.__all__\n'
        ).encode()
        types = root / f"{module}.pyi"
        if types.is_file():
            files[f"{module}/__init__.pyi"] = types.read_bytes()
            files[f"{module}/py.typed"] = b""
    path = place.replace(".", "/") + suffix
    files[path] = stub_of(module, path).read_bytes()
    return files


def described(root, files):
    """The folder that describes the wheel, and its name."""
    information = (root / "PKG-INFO").read_bytes()
    said = email.message_from_bytes(information)
    name = re.sub(r"[-_.]+", "_", said["Name"])
    version = said["Version"]
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    tag = f"{tag}-{tag}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
    folder = f"{name}-{version}.dist-info"
    files[f"{folder}/METADATA"] = information
    files[f"{folder}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: vkernel\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    )
    for licence in said.get_all("License-File", []):
        if (root / licence).is_file():
            files[f"{folder}/licenses/{licence}"] = (root / licence).read_bytes()
    lines = []
    for path, data in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(data)}\n")
    files[f"{folder}/RECORD"] = ("".join(lines) + f"{folder}/RECORD,,\n").encode()
    return f"{name}-{version}-{tag}.whl"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    root = pathlib.Path.cwd()
    with open("pyproject.toml", "rb") as file:
        maturin = tomllib.load(file).get("tool", {}).get("maturin", {})
    bindings = maturin.get("bindings", "pyo3")
    if bindings != "pyo3":
        fail(f"`bindings = \"{bindings}\"` is not supported, extensions by PyO3 or its `pyo3-ffi` alone are")
    manifest = root / maturin.get("manifest-path", "Cargo.toml")
    lib, archive, libraries = compile_crate(manifest, maturin.get("features", []))
    say(f"{archive.name}, linked with {' '.join(libraries)}")

    def stub_of(module, path):
        stub = HERE / "stubs" / path
        make_stub(archive, libraries, module, stub)
        return stub

    files = contents(root, maturin, lib, stub_of)
    name = described(root, files)
    with zipfile.ZipFile(pathlib.Path(wheel_directory, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, data in sorted(files.items()):
            wheel.writestr(path, data)
    # The crates' objects are large, and in the stub's archive.
    shutil.rmtree(HERE / "target")
    return name
