"""The reference: runs a module under PyPI's wasmtime.

usage: reference.py MODULE FOLDER [ARG]...   FOLDER is preopened as `/`; standard streams inherited
"""

import sys

from wasmtime import Engine, ExitTrap, Linker, Module, Store, WasiConfig

module, folder, *arguments = sys.argv[1:]
engine = Engine()
linker = Linker(engine)
linker.define_wasi()
wasi = WasiConfig()
wasi.argv = [module.rsplit("/", 1)[-1], *arguments]
wasi.env = [("A", "1"), ("B", "two words")]
wasi.inherit_stdin()
wasi.inherit_stdout()
wasi.inherit_stderr()
wasi.preopen_dir(folder, "/")
store = Store(engine)
store.set_wasi(wasi)
instance = linker.instantiate(store, Module.from_file(engine, module))
try:
    instance.exports(store)["_start"](store)
except ExitTrap as end:
    sys.exit(end.code)
