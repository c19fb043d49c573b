"""Has pip name the way in when it fails for a package of which all wheels hold machine code.

pip takes no such wheel here, and says that nothing matches, or builds the source distribution, for which an image has no
compiler. When a command fails, a line is added for each package that its errors name and that has such wheels.

What it does not do: change what pip takes, what it prints elsewhere, or its exit status. It wraps two methods of pip's own;
a pip that does not have them says what it says anyway.

`site` imports it where a word of the command line says pip (patch 08): by pip's own program, by `-m pip`, in virtual
environments too. It does nothing before pip's commands are imported.
"""

import functools
import importlib.machinery
import logging
import re
import sys

COMMANDS = "pip._internal.cli.base_command"
INSTALLING = ("install", "download", "wheel", "lock")
TEXT = """\
ERROR: {name} {version} has no wheel for this Python, only wheels with machine code of other machines, such as {file}. \
Machine code cannot be loaded here: have the package compiled and linked into Python, with [[extension]] in an image's \
recipe (docs/extensions.md), or take a version of pure Python (gap python-machine-code)"""


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


class Said(logging.Handler):
    """What pip said of errors."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record):
        try:
            self.text += record.getMessage() + "\n"
        except Exception:
            pass


class Seen:
    """What pip found of a package: versions that have wheels for this Python, and files with machine code of others."""

    def __init__(self):
        self.ours = set()
        self.foreign = {}

    def note(self, file, taken):
        if not file.endswith(".whl") or file.count("-") < 4:
            return
        version = file.split("-")[1]
        if taken:
            self.ours.add(version)
        elif not file.endswith("-any.whl"):
            self.foreign.setdefault(version, file)

    def missing(self):
        return [version for version in self.foreign if version not in self.ours]


def newest(versions):
    return max(versions, key=lambda version: [int(part) for part in re.findall(r"\d+", version)])


def explain(seen, text):
    """The lines to add to what pip said, `text`."""
    said = normal(text)
    lacking = {name: found for name, found in seen.items() if found.missing()}
    named = [name for name in lacking if re.search(rf"(?<![\w-]){re.escape(name)}(?![a-z])", said)]
    # Where a build fails, pip's errors name no package: it is one that has no wheel at all.
    for name in named or [name for name, found in lacking.items() if not found.ours]:
        missing = lacking[name].missing()
        # The version that was asked for, if the errors name it.
        asked = [version for version in missing if re.search(rf"{re.escape(name)}\W+{re.escape(normal(version))}(?!\d)", said)]
        version = newest(asked or missing)
        yield TEXT.format(name=name, version=version, file=lacking[name].foreign[version])


def watch_links(seen):
    from pip._internal.index.package_finder import LinkEvaluator, LinkType

    def evaluate(self, link, own=LinkEvaluator.evaluate_link):
        answer = own(self, link)
        if answer[0] in (LinkType.candidate, LinkType.platform_mismatch):
            found = seen.setdefault(normal(self.project_name), Seen())
            found.note(link.filename, answer[0] is LinkType.candidate)
        return answer

    LinkEvaluator.evaluate_link = functools.wraps(LinkEvaluator.evaluate_link)(evaluate)


def watch_commands(module):
    def main(self, args, own=module.Command.main):
        seen, said = {}, Said()
        if self.name in INSTALLING:
            try:
                watch_links(seen)
            except (ImportError, AttributeError):
                pass
            logging.getLogger("pip").addHandler(said)
        status = own(self, args)
        if status:
            for line in explain(seen, said.text):
                print(line, file=sys.stderr)
        return status

    module.Command.main = functools.wraps(module.Command.main)(main)


class Finder:
    """Waits until pip's commands are imported. Then it goes, so that imports are as everywhere."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != COMMANDS:
            return None
        sys.meta_path.remove(Finder)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            own = spec.loader.exec_module

            def exec_module(module):
                own(module)
                if hasattr(getattr(module, "Command", None), "main"):
                    watch_commands(module)

            spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Finder)
