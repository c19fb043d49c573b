"""Runs inside CPython at the snapshot point, and again when a snapshot is resumed.

At image time it does what `site` does at start, imports the modules that programs use most, and
hides them again so that `sys.modules` is that of a fresh interpreter. When a snapshot is resumed,
`prepare` is called before CPython is configured again.

Python 3.12 for WASI runs it as `python3 -S -c THIS`. `entry` is where resume.wat finds it, and is called
with an operation in its inbox, at the end `before_finalise` and `clear_modules` besides. Python for
Linux (cpython/main.c) runs it with `site` not imported, and calls `prepare` itself.

What it does not do: parse the command line for CPython (that reads it itself), print, or leave a
trace of itself in `sys.modules` or in tracebacks.

Invariant: `prepare` answers False, and the vkernel starts afresh, for everything that it does not
know to be exact.
"""
import sys
import posix
import _frozen_importlib as bootstrap
import _frozen_importlib_external as external
import atexit
import gc
import io
import os
import site

# Must match resume.wat.
CAPACITY = 262144 + 65536
PREFIX = "/usr/local"
LINUX = sys.platform == "linux"
VERSION = "%d.%d" % sys.version_info[:2]
FOLDER = PREFIX + "/lib/python" + VERSION
ZIP = PREFIX + "/lib/python" + VERSION.replace(".", "") + ".zip"
LIBRARY = FOLDER if LINUX else ZIP

# Modules that are imported at image time, in this order. Not here: what warns when imported, what
# holds a descriptor, what looks at the environment when imported.
PRELOAD = """
    warnings functools collections collections.abc re json enum types typing dataclasses datetime
    time math cmath random decimal fractions numbers statistics operator itertools contextlib copy
    copyreg weakref abc string textwrap struct bisect heapq array inspect traceback linecache
    tokenize token keyword ast dis opcode io pathlib glob fnmatch shutil tempfile stat
    argparse getopt logging logging.handlers logging.config base64 binascii hashlib hmac secrets
    uuid urllib urllib.parse urllib.request urllib.error http http.client http.server html
    html.parser html.entities email email.message email.parser email.utils csv configparser zipfile
    tarfile gzip zlib bz2 pickle pprint reprlib queue threading sched subprocess signal select
    selectors socket socketserver asyncio concurrent concurrent.futures concurrent.futures.thread
    contextvars importlib importlib.util importlib.machinery importlib.metadata
    importlib.resources pkgutil runpy platform locale gettext codecs unicodedata difflib
    calendar zoneinfo ipaddress shlex errno gc atexit unittest unittest.mock doctest timeit
    xml xml.etree xml.etree.ElementTree xml.sax xml.dom xml.dom.minidom sqlite3 tomllib graphlib
    mimetypes filecmp fileinput cmd code codeop pdb bdb profile cProfile pstats trace tracemalloc
    __future__ quopri zipimport sysconfig optparse getpass ftplib smtplib webbrowser xmlrpc.client
    json.tool encodings.ascii encodings.latin_1 encodings.idna encodings.utf_8_sig
""".split()

# On Linux each process lays the dictionaries of these out anew (cpython/rehash.h), so that there are fewer: others
# are read from byte code.
if LINUX:
    PRELOAD = """
        warnings functools collections collections.abc re json enum types typing dataclasses datetime
        time math random operator itertools contextlib copy copyreg weakref abc string textwrap struct
        bisect heapq traceback linecache tokenize token keyword io pathlib glob fnmatch shutil tempfile
        stat argparse logging base64 binascii hashlib urllib urllib.parse pickle reprlib queue threading
        subprocess signal select selectors socket inspect ast dis importlib.util importlib.machinery
        locale codecs errno gc platform
    """.split()

# Environment variables that CPython reads at start and that need a start.
COLD_VARIABLES = frozenset(b"""
    PYTHONCOERCECLOCALE PYTHONDEBUG PYTHONDEVMODE PYTHONDUMPREFS PYTHONDUMPREFSFILE
    PYTHONFAULTHANDLER PYTHONHASHSEED PYTHONHOME PYTHONINSPECT PYTHONINTMAXSTRDIGITS PYTHONMALLOC
    PYTHONMALLOCSTATS PYTHONNODEBUGRANGES PYTHONOPTIMIZE PYTHONPERFSUPPORT PYTHONPLATLIBDIR
    PYTHONPROFILEIMPORTTIME PYTHONPYCACHEPREFIX PYTHONTRACEMALLOC PYTHONUSERBASE PYTHONUTF8
    PYTHONVERBOSE PYTHONWARNDEFAULTENCODING PYTHON_CPU_COUNT PYTHON_FROZEN_MODULES PYTHON_GIL
    PYTHON_PERF_JIT_SUPPORT PYTHON_PRESITE
""".split())

# -X options that change how an interpreter starts; others only fill sys._xoptions.
COLD_X = frozenset("""
    cpu_count dev faulthandler frozen_modules gil importtime int_max_str_digits no_debug_ranges perf
    perf_jit presite pycache_prefix showrefcount tracemalloc utf8 warn_default_encoding
""".split())

modules = sys.modules
find_and_load = bootstrap._find_and_load
PathFinder = external.PathFinder
FileFinder = external.FileFinder
path_stat = posix.stat
getcwd = posix.getcwd


# ---- image time: preloading ----

class Stashed:
    """A module that was imported at image time, until a program imports it."""

    __slots__ = ("module", "needs", "closure", "outside", "folders", "atexit", "parent",
                 "file")

    def __init__(self, module):
        self.module = module
        self.needs = []        # names its body imports, in order
        self.closure = ()      # stashed names that importing it brings in
        self.outside = ()      # (where they were found, those that an earlier place could shadow)
        self.folders = ()      # (folder of the app's packages, its identity)
        self.atexit = []       # calls of atexit.register its body makes
        self.parent = None     # (parent module, attribute) that importing it sets
        self.file = None       # (its source file, what tells it from another)


stash = {}       # name -> Stashed, not yet imported by the program
originals = {}   # name -> module, for all that ever were in the stash


def preload(wanted, path):
    """Imports PRELOAD and moves what that brought into the stash.

    `wanted` are modules of the app besides, which are looked for in `path` first. Those are
    folders of internal trees: their contents are part of the image that the snapshot is part of.
    """
    baseline = dict(modules)
    # The one whose `register` is watched: importing it again would make another.
    modules["atexit"] = atexit
    needs = {}
    exits = {}
    real_import = builtins.__import__
    real_register = atexit.register
    getframe = sys._getframe

    def importing(frame):
        """The name of the module whose body is running."""
        while frame is not None:
            if frame.f_code.co_name == "<module>":
                return frame.f_globals.get("__name__")
            frame = frame.f_back
        return None

    def note(importer, name):
        names = needs.setdefault(importer, [])
        while name:
            if name not in names:
                names.append(name)
            name = name.rpartition(".")[0]

    def recording_import(name, globals=None, locals=None, fromlist=(), level=0):
        importer = importing(getframe(1))
        whole = name
        if level:
            package = globals.get("__package__") or globals["__name__"].rpartition(".")[0]
            base = package.split(".")
            base = ".".join(base[:len(base) - level + 1])
            whole = base + "." + name if name else base
        try:
            result = real_import(name, globals, locals, fromlist, level)
        except ImportError:
            # The importer may go on without it, and with what it had imported until it failed.
            if importer is not None:
                for each in needs.get(whole, ()):
                    note(importer, each)
            raise
        if importer is not None:
            note(importer, whole)
            for item in fromlist or ():
                if whole + "." + item in modules:
                    note(importer, whole + "." + item)
        return result

    def recording_register(function, *args, **kwargs):
        exits.setdefault(importing(getframe(1)), []).append((function, args, kwargs))
        return function

    builtins.__import__ = recording_import
    atexit.register = recording_register
    try:
        for name in PRELOAD:
            try:
                real_import(name)
            except ImportError:
                # The build lacks it; a program gets the same error.
                for half in set(modules) - set(baseline):
                    if modules[half] is None:
                        del modules[half]
        sys.path[:0] = path
        for name in wanted:
            real_import(name)
        del sys.path[:len(path)]
    finally:
        builtins.__import__ = real_import
        atexit.register = real_register

    for name, module in list(modules.items()):
        if name in baseline:
            continue
        entry = Stashed(module)
        entry.needs = needs.get(name, [])
        entry.atexit = exits.get(name, [])
        stash[name] = entry
        originals[name] = module
        del modules[name]
    # `typing.io` and the like: a body put them into sys.modules without an import.
    for name, entry in stash.items():
        maker = stash.get(name.rpartition(".")[0])
        spec = getattr(entry.module, "__spec__", None)
        if maker is not None and getattr(spec, "name", None) != name and name not in maker.needs:
            maker.needs.append(name)
    for name, entry in stash.items():
        parent, _, child = name.rpartition(".")
        parent = baseline.get(parent) or (stash[parent].module if parent in stash else None)
        if parent is not None and getattr(parent, child, None) is entry.module:
            delattr(parent, child)
            entry.parent = (parent, child)
    for name, entry in stash.items():
        closure = {}
        pending = [name]
        while pending:
            each = pending.pop()
            if each in stash and each not in closure:
                closure[each] = None
                pending.extend(stash[each].needs)
                pending.append(each.rpartition(".")[0])
        entry.closure = tuple(closure)
        outside = {}
        folders = {}
        for each in closure:
            origin = getattr(getattr(stash[each].module, "__spec__", None), "origin", None)
            if origin in ("built-in", "frozen"):
                continue
            if LINUX and origin is not None:
                # While the snapshot is taken, the clock shows the time that the image's files will have.
                stash[each].file = (origin, (path_stat(origin).st_size, began * 1000000000))
            place = LIBRARY
            for folder in path:
                if origin is not None and origin.startswith(folder + "/"):
                    place = folder
                    inside = origin
                    while inside != folder:
                        inside = inside.rpartition("/")[0]
                        folders[inside] = identity(inside)
                    break
            outside.setdefault(place, set()).add(each.partition(".")[0])
        entry.outside = tuple((place, frozenset(names)) for place, names in outside.items())
        entry.folders = tuple(folders.items())


# ---- importing from the stash ----

listings = {}    # folder -> (the finder's cache, the module names in it)


def identity(folder):
    """What tells a folder of an internal tree from whatever else may be mounted there."""
    try:
        stat = path_stat(folder)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def contents(file):
    """What tells a file of the image from another in its place: all files of an image have one time."""
    try:
        stat = path_stat(file)
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def shadowed(place, names):
    """True unless nothing before `place` on sys.path can hold one of these modules."""
    cache = sys.path_importer_cache
    for entry in sys.path:
        if entry == place:
            return False
        if entry == LIBRARY:
            if not names.isdisjoint(library_names):
                return True
            continue
        if type(entry) is not str:
            return True
        folder = entry or getcwd()
        try:
            finder = cache[folder]
        except KeyError:
            finder = PathFinder._path_importer_cache(entry)
        if finder is None:
            continue
        if type(finder) is not FileFinder:
            return True
        # As FileFinder.find_spec does.
        try:
            mtime = path_stat(finder.path or getcwd()).st_mtime
        except OSError:
            mtime = -1
        if mtime != finder._path_mtime:
            finder._fill_cache()
            finder._path_mtime = mtime
        known = listings.get(folder)
        if known is None or known[0] is not finder._path_cache:
            known = (finder._path_cache, {item.partition(".")[0] for item in finder._path_cache})
            listings[folder] = known
        if not names.isdisjoint(known[1]):
            return True
    return True


def usable(entry):
    """True if importing the stashed module gives what importing it afresh would give."""
    if sys.meta_path != meta_path or sys.path_hooks != path_hooks:
        return False
    if builtins_dict["__import__"] is not builtin_import:
        return False
    for name in entry.closure:
        module = modules.get(name)
        if module is None:
            if name in modules or name not in stash:
                return False
            file = stash[name].file
            if file is not None and contents(file[0]) != file[1]:
                return False
        elif module is not originals[name]:
            return False
    for place, names in entry.outside:
        if shadowed(place, names):
            return False
    for folder, expected in entry.folders:
        if identity(folder) != expected:
            return False
    return True


def restore(name):
    """Puts a stashed module into sys.modules, and what its body imports, in import's order."""
    # The parent first: its body may import this one, at its own time.
    parent = name.rpartition(".")[0]
    if parent:
        restore(parent)
    entry = stash.pop(name, None)
    if entry is None:
        return
    module = entry.module
    modules[name] = module
    for need in entry.needs:
        if need in stash:
            restore(need)
    del modules[name]
    modules[name] = module
    if entry.parent is not None:
        setattr(*entry.parent, module)
    for function, args, kwargs in entry.atexit:
        atexit_register(function, *args, **kwargs)
    renewal = renewals.get(name)
    if renewal is not None:
        renewal(module)


def _find_and_load(name, import_):
    """Stands in for importlib._bootstrap._find_and_load."""
    entry = stash.get(name)
    if entry is not None and name not in modules and usable(entry):
        restore(name)
        return modules[name]
    return find_and_load(name, import_)


def renew_random(module):
    module._inst.seed()


def renew_logging(module):
    module._startTime = modules["time"].time()


def renew_threading(module):
    if LINUX:
        module.main_thread()._set_native_id()


renewals = {"random": renew_random, "logging": renew_logging, "threading": renew_threading}


# ---- resume: before CPython is configured again ----

def scan(argv):
    """Reads the options as CPython will; None if they need a cold start.

    Gives (unbuffered, use_environment, user_site, -W options).
    """
    unbuffered = False
    environment = user_site = True
    warnoptions = []
    i = 1
    while i < len(argv):
        arg = argv[i]
        if arg[:1] != "-" or arg == "-":
            break
        i += 1
        if arg == "--":
            break
        if arg[:2] == "--":
            return None
        at = 1
        while at < len(arg):
            option = arg[at]
            at += 1
            if option == "u":
                unbuffered = True
            elif option == "E":
                environment = False
            elif option == "s":
                user_site = False
            elif option == "I":
                environment = user_site = False
            elif option in "BP":
                pass
            elif option in "cmWX":
                value = arg[at:]
                if not value:
                    if i >= len(argv):
                        return None
                    value = argv[i]
                    i += 1
                if option in "cm":
                    return unbuffered, environment, user_site, warnoptions
                if option == "W":
                    warnoptions.append(value)
                elif value.partition("=")[0] in COLD_X:
                    return None
                at = len(arg)
            else:
                return None
    return unbuffered, environment, user_site, warnoptions


def find_executable(program, path):
    """sys.executable as getpath.py finds it; WASI has no execute permission to look at."""
    if "/" in program:
        return program if program[0] == "/" else getcwd().rstrip("/") + "/" + program
    for folder in path.split(":"):
        candidate = folder.rstrip("/") + "/" + program
        try:
            mode = path_stat(candidate).st_mode
            if folder[:1] == "/" and mode & 0o170000 == 0o100000 and (mode & 0o111 or not LINUX):
                return candidate
        except OSError:
            pass
    return ""


def exists(path):
    try:
        path_stat(path)
    except OSError:
        return False
    return True


def elsewhere(executable):
    """True if getpath.py would find another prefix: a virtual environment, another library."""
    folder = executable.rpartition("/")[0]
    if not executable:
        return False
    above = folder.rpartition("/")[0]
    if exists(folder + "/pyvenv.cfg") or exists(above + "/pyvenv.cfg"):
        return True
    if above == PREFIX:
        return False
    while above:
        if exists(above + ZIP[len(PREFIX):]) or exists(above + FOLDER[len(PREFIX):] + "/os.py"):
            return True
        above = above.rpartition("/")[0]
    return False


def stream(fd, writing, name, encoding, errors, buffered):
    """As create_stdio() of pylifecycle.c."""
    try:
        posix.fstat(fd)
    except OSError:
        return None
    unbuffered = writing and not buffered
    buffer = io.open(fd, "wb" if writing else "rb", 0 if unbuffered else -1, None, None, None, False)
    raw = buffer if unbuffered else buffer.raw
    raw.name = name
    lines = buffered and (fd == 2 or raw.isatty())
    text = io.TextIOWrapper(buffer, encoding, errors, "\n", lines, not buffered)
    text.mode = "w" if writing else "r"
    return text


def prepare_from(inbox):
    def number(at):
        return int.from_bytes(inbox[at:at + 4], "little")

    args_at, env_at = number(24), number(28)
    argv = bytes(inbox[args_at:args_at + number(8)]).split(b"\0")[:-1]
    return prepare(argv, bytes(inbox[env_at:env_at + number(16)]).split(b"\0")[:-1])


def prepare(argv, environment):
    """Whether the snapshot can serve a start with these arguments and variables, as bytes."""
    argv = [arg.decode("utf-8", "surrogateescape") for arg in argv]
    if not argv:
        return False
    options = scan(argv)
    if options is None:
        return False
    unbuffered, use_environment, user_site, warnoptions = options

    environ = posix.environ
    for item in environment:
        key, separator, value = item.partition(b"=")
        if separator and key not in environ:
            environ[key] = value
            if use_environment and value and key in COLD_VARIABLES:
                return False
    get = environ.get

    # wasi-libc and musl take every name but C and POSIX for a UTF-8 locale; none at all is C.UTF-8 for WASI.
    none = b"C" if LINUX else b"C.UTF-8"
    locale = get(b"LC_ALL") or get(b"LC_CTYPE") or get(b"LANG") or none
    if locale in (b"C", b"POSIX"):
        return False
    if locale != b"C.UTF-8":
        setlocale(LC_CTYPE, locale.decode("utf-8", "surrogateescape"))
    # Those that PEP 538 would coerce to are lenient.
    lenient = locale in (b"C.UTF-8", b"C.utf8", b"UTF-8")
    errors = "surrogateescape" if lenient else "strict"
    encoding = "utf-8"
    if use_environment:
        if get(b"PYTHONUNBUFFERED"):
            unbuffered = True
        if get(b"PYTHONNOUSERSITE"):
            user_site = False
        if get(b"PYTHONWARNINGS"):
            listed = get(b"PYTHONWARNINGS").decode("utf-8", "surrogateescape")
            warnoptions = [each for each in listed.split(",") if each] + warnoptions
        if get(b"PYTHONIOENCODING"):
            wanted, _, handler = get(b"PYTHONIOENCODING").decode("latin-1").partition(":")
            if wanted.lower() not in ("", "utf-8", "utf8"):
                return False
            errors = handler or ("strict" if wanted else errors)
            if errors not in ("strict", "ignore", "replace", "surrogateescape", "backslashreplace"):
                return False

    if LINUX and (b"TZ" in environ or exists("/etc/localtime")):
        time.tzset()
    executable = find_executable(argv[0], get(b"PATH", b"").decode("utf-8", "surrogateescape"))
    if elsewhere(executable):
        return False
    try:
        if path_stat(0).st_mode & 0o170000 == 0o040000:
            return False  # "<stdin> is a directory, cannot continue"
    except OSError:
        pass

    # A sitecustomize may look at it; CPython sets it again.
    sys.orig_argv = argv
    sys.executable = sys._base_executable = executable
    buffered = not unbuffered
    sys.stdin = sys.__stdin__ = stream(0, False, "<stdin>", encoding, errors, buffered)
    sys.stdout = sys.__stdout__ = stream(1, True, "<stdout>", encoding, errors, buffered)
    sys.stderr = sys.__stderr__ = stream(2, True, "<stderr>", encoding, "backslashreplace", buffered)

    if warnoptions:
        _find_and_load("warnings", None)._processoptions(warnoptions)
    renew_site(get(b"PYTHONPATH") if use_environment else None, user_site)
    return True


def renew_site(pythonpath, user_site):
    """What site.main() does that depends on the environment and on files."""
    if pythonpath:
        sys.path[:0] = pythonpath.decode("utf-8", "surrogateescape").split(":")
    if LINUX:
        known = site.removeduppaths()
        site.ENABLE_USER_SITE = user_site
        if user_site and (posix.geteuid() != posix.getuid() or posix.getegid() != posix.getgid()):
            site.ENABLE_USER_SITE = None
        known = site.addusersitepackages(known)
        site.addsitepackages(known)
        site.execsitecustomize()
        if site.ENABLE_USER_SITE:
            site.execusercustomize()
        return
    # On WASI there is no folder of the user's: site says so, whatever the options are.
    site.ENABLE_USER_SITE = False
    try:
        found = posix.listdir(FOLDER)
    except OSError:
        found = ()
    packages = "site-packages" in found
    customized = any(name[:13] in ("sitecustomize", "usercustomize") for name in found)
    if pythonpath or packages or customized:
        known = site.removeduppaths()
        if packages:
            site.addsitepackages(known)
        site.execsitecustomize()


# ---- the end of a resumed run ----

def before_finalise():
    """As Py_FinalizeEx() up to the point of no return."""
    threading = modules.get("threading")
    if threading is not None:
        try:
            threading._shutdown()
        except BaseException as error:
            unraisable(error, threading)
    atexit._run_exitfuncs()


def unraisable(error, thing):
    hook = sys.unraisablehook
    hook(sys.UnraisableHookArgs((type(error), error, error.__traceback__, None, thing)))


SPECIAL = ("path", "argv", "ps1", "ps2", "last_exc", "last_type", "last_value", "last_traceback",
           "path_hooks", "path_importer_cache", "meta_path", "__interactivehook__")


def clear_modules():
    """As finalize_modules() of pylifecycle.c, for what the program has brought in."""
    gc.collect()
    sys_dict = sys.__dict__
    builtins_dict["_"] = None
    for name in SPECIAL:
        sys_dict[name] = None
    for name in ("stdin", "stdout", "stderr"):
        sys_dict[name] = sys_dict["__" + name + "__"]
    alive = []
    for name in list(modules):
        if modules[name] is not kept.get(name):
            module = modules[name]
            if type(module) is module_type:
                alive.append((name, weakref_ref(module)))
            modules[name] = module = None
    gc.collect()
    for name, reference in reversed(alive):
        module = reference()
        if module is not None:
            clear_dict(module.__dict__, ())
            module = None
    clear_dict(builtins_dict, builtins_names)
    clear_dict(sys_dict, sys_names)
    gc.collect()


def clear_dict(namespace, keep):
    """As _PyModule_ClearDict(): names with one leading underscore go first."""
    names = namespace.keys() - keep
    names.discard("__builtins__")
    if not names:
        return
    names = [name for name in namespace if name in names and type(name) is str]
    for private in (True, False):
        for name in names:
            if (name[:1] == "_" and name[1:2] != "_") is private:
                namespace[name] = None


# ---- entry ----

def entry(inbox=bytearray(CAPACITY)):
    operation = inbox[0]
    if operation == 1:
        return prepare_from(inbox)
    if operation == 2:
        before_finalise()
    elif operation == 4:
        try:
            seal(inbox)
        except BaseException as error:
            # There are no streams any more, and no line numbers.
            posix.write(2, b"_vkernel.py, sealing the snapshot: %a\n" % error)
            return False
    else:
        clear_modules()
    return True


def anonymous(code):
    """The same code as line 1 of `sys`, without columns (Objects/locations.md)."""
    units = len(code.co_code) // 2
    table = b""
    while units:
        length = min(units, 8)
        table += bytes((0x80 | 13 << 3 | length - 1, 0))
        units -= length
    return code.replace(co_filename="sys", co_firstlineno=1, co_linetable=table)


# ---- image time: the memory itself ----

def from_library(module):
    origin = getattr(getattr(module, "__spec__", None), "origin", None)
    return origin in ("built-in", "frozen") or str(origin).startswith(LIBRARY + "/")


def immortals():
    """The addresses of objects that may as well live for ever (PEP 683), so that a program copies
    no pages for counting references to them.

    They are the library's modules, and its functions, classes and constants by what they are
    reached: namespaces, and objects that hold others for good. Not the app's, which may want to
    see the end of what it has made; nor lists, dictionaries and instances, which hold what a
    program puts there.
    """
    function = type(entry)
    code = type(entry.__code__)

    def named(namespace):
        return [each for each in namespace.values() if type(each) in held]

    def of_class(thing):
        held_for_good = (dict, tuple, type)
        parts = [each for each in gc.get_referents(thing) if type(each) in held_for_good]
        return parts + named(vars(thing))

    def nothing(thing):
        return ()

    held = {  # kind -> what its objects hold
        module_type: lambda thing: [thing.__dict__, *named(thing.__dict__)],
        type: of_class,
        function: lambda thing: (thing.__code__, thing.__globals__, thing.__closure__),
        code: lambda thing: (*thing.co_consts, *thing.co_names),
    }
    for kind in (str, bytes, int, float, complex):
        held[kind] = nothing
    for kind in (tuple, frozenset, property, staticmethod, classmethod, type(len), type(str.join),
                 type(str.__add__), type(code.co_code), type(function.__globals__),
                 type(dict.__dict__["fromkeys"])):
        held[kind] = gc.get_referents
    found = {}
    pending = [module for module in kept.values() if from_library(module)]
    pending.append(old_main)
    while pending:
        thing = pending.pop()
        if id(thing) not in found:
            found[id(thing)] = None
            pending.extend(held.get(type(thing), nothing)(thing))
    return list(found)


def fill_holes():
    """Objects that take the free places between others, so that what a program allocates goes to
    pages of its own, one after the other, instead of to a copy of a page of the image each.

    The last one is to be freed: it leaves zeroes, which are no part of the image.
    """
    # The build has no allocator but dlmalloc, which takes the smallest hole that will do, and the
    # end of the heap (its `top`) when there is none.
    made = [None] * 100000
    count = 0
    top = id(bytes(16 << 20))
    size = 1 << 20
    while size and count + 1 < len(made):
        thing = bytes(size)
        if id(thing) < top:
            made[count] = thing
            count += 1
        else:
            size = size // 2 if size > 1024 else size - 8
    thing = None
    made[count] = bytes(16 << 20)
    return made[:count + 1]


def seal(inbox):
    """The last step at image time, when `take_snapshot` itself and its like have gone."""
    global kept, sys_names, builtins_names, filling
    kept = dict(modules)
    kept.update(originals)
    del kept["__main__"]
    gc.collect()
    # For resume.wat; what does not fit in the inbox stays mortal.
    addresses = immortals()[:CAPACITY // 4 - 1]
    at = 0
    for each in (len(addresses), *addresses):
        inbox[at:at + 4] = each.to_bytes(4, "little")
        at += 4
    del addresses
    gc.freeze()
    # The program's own `__main__`, outside the frozen heap so that its cycles are collected.
    main = module_type("__main__")
    main.__dict__.clear()
    main.__dict__.update({
        "__name__": "__main__", "__doc__": None, "__package__": None,
        "__loader__": bootstrap.BuiltinImporter, "__spec__": None, "__annotations__": {},
        "__builtins__": builtins,
    })
    # The place of `__main__` in sys.modules stays.
    modules["__main__"] = main
    # The streams go with the program's own names, in the dictionary's order, as in CPython.
    sys_names = frozenset(sys.__dict__) - {
        "stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"}
    builtins_names = frozenset(builtins_dict) | {"_"}
    # Keeps the old namespace, which is this module's, alive.
    originals["__main__"] = old_main
    filling = fill_holes()
    del filling[-1]


def take_snapshot():
    """Everything at image time but for `seal`; runs once, last."""
    global meta_path, path_hooks, builtins_dict, builtin_import, atexit_register
    global module_type, weakref_ref, setlocale, LC_CTYPE, library_names, old_main, builtins, time, began
    import builtins
    import time
    began = int(time.time())
    import _locale
    import _weakref

    builtins_dict = builtins.__dict__
    builtin_import = builtins.__import__
    atexit_register = atexit.register
    module_type = type(sys)
    weakref_ref = _weakref.ref
    setlocale, LC_CTYPE = _locale.setlocale, _locale.LC_CTYPE
    # site.main() up to where files and environment matter.
    if not LINUX:
        del sys.path[0]
    site.removeduppaths()
    site.setquit()
    site.setcopyright()
    site.sethelper()
    site.enablerlcompleter()
    # Built in, and imported for this module alone.
    for name in ("atexit", "gc", "_locale"):
        modules.pop(name, None)
    filters = list(sys.modules["_warnings"].filters) if "_warnings" in modules else None
    wanted = posix.environ.get(b"VKERNEL_PRELOAD", b"").decode().split()
    path = posix.environ.get(b"VKERNEL_PRELOAD_PATH", b"").decode().split(":")
    preload(wanted, [folder for folder in path if folder])
    files = posix.listdir(LIBRARY) if LINUX else sys.path_importer_cache[LIBRARY]._files
    library_names = frozenset(name.partition("/")[0].partition(".")[0] for name in files)
    meta_path = list(sys.meta_path)
    path_hooks = list(sys.path_hooks)
    if filters is not None:
        assert list(sys.modules["_warnings"].filters) == filters, "a preloaded module set filters"

    old_main = modules["__main__"]
    # CPython's own code has no frame; a warning raised below it is reported at line 1 of `sys`.
    # These functions must look the same.
    globals()["__name__"] = "sys"
    for thing in list(globals().values()):
        if type(thing) is type(entry) and thing.__globals__ is globals() and thing is not take_snapshot:
            thing.__code__ = anonymous(thing.__code__)
    if not LINUX:
        sys.set_asyncgen_hooks(firstiter=entry)
    sys.stdin = sys.stdout = sys.stderr = None
    sys.__stdin__ = sys.__stdout__ = sys.__stderr__ = None
    posix.environ.clear()
    for folder in list(sys.path_importer_cache):
        if not folder.startswith(LIBRARY):
            del sys.path_importer_cache[folder]
    sys.argv = []
    sys.orig_argv = []
    find = _find_and_load
    find.__code__ = find.__code__.replace(co_filename="<frozen importlib._bootstrap>")
    find.__module__ = bootstrap.__name__
    bootstrap._find_and_load = find


take_snapshot()
if LINUX:
    kept = dict(modules)
    kept.update(originals)
    gc.collect()
    immortal = immortals()
    gc.freeze()
