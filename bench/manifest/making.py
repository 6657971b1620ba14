"""From what a component was seen to do to its manifest."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.errors import BenchError
from bench.manifest.component import Component
from bench.manifest.digests import PYTHON, Digests
from bench.manifest.distributions import with_requirements
from bench.manifest.entries import ALL_VARIABLES, Entry, Kind, Manifest
from bench.manifest.holding import all_variables, presence, said_status, value_digest, where
from bench.manifest.modules import Closure, Module, Resolver, closure
from bench.manifest.recorder import Observed, Status, status_of
from bench.manifest.roots import Roots, installed_folders, of_python

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 4096


class ChangedError(BenchError):
    """A file that changed while a job used it."""


@dataclass
class Surroundings:
    """What the manifests of one job have in common.

    Attributes:
        roots: Where relative paths begin.
        digests: Digests of files as they are at the job's end.
        resolver: Finds modules.
        start: Finds modules along the import path as it was before any code of users' ran.
        loaded: Modules of the user's that were loaded, by name, whoever imported them.
        mapped: Files that the process has mapped, and nobody was seen to open.
    """

    roots: Roots
    digests: Digests
    resolver: Resolver
    start: Resolver
    loaded: Sequence[str] = ()
    mapped: Sequence[str] = ()
    sources: dict[str, Status] = field(default_factory=dict)


def make(components: Sequence[Component], observed: Observed, around: Surroundings) -> Manifest:
    """The manifest of components of one label.

    Args:
        components: Those that share a label; they differ in their arguments.
        observed: What they were seen to do.
        around: What all manifests of the job share.

    Raises:
        ChangedError: A file changed while it was used.
    """
    names = [component.code.partition(":")[0] for component in components]
    modules = closure([*names, *sorted(observed.modules), *around.loaded], around.resolver)
    maker = _Maker(observed, around, modules)
    maker.imports()
    maker.files()
    maker.variables()
    for component in components:
        maker.named(_texts(component.given))
        maker.declared(component.uses)
    maker.named(value for value in observed.variables.values() if value is not None)
    untracked = sorted({*observed.untracked, *maker.untracked})
    declared = all(component.uses for component in components) and bool(components)
    return Manifest(dict(sorted(maker.entries.items())), tuple(untracked), declared)


class _Maker:
    """Makes the entries of one manifest."""

    def __init__(self, observed: Observed, around: Surroundings, modules: Closure) -> None:
        self.observed, self.around, self.modules = observed, around, modules
        self.entries: dict[str, str] = {str(Entry(Kind.PYTHON, "version")): PYTHON}
        self.untracked: set[str] = set()

    def add(self, kind: Kind, name: str, value: str) -> None:
        """Add an entry."""
        self.entries[str(Entry(kind, name))] = value

    def at(self, kind: Kind, path: str, value: str) -> None:
        """Add an entry about a path."""
        self.add(kind, self.around.roots.portable(path), value)

    def imports(self) -> None:
        """The modules, their sources and the distributions they come from."""
        distributions = set()
        for name, module in self.modules.modules.items():
            if module.owner == "bench":
                self.add(Kind.DISTRIBUTION, "bench", str(self.around.digests.distribution("bench")))
                continue
            place = where(module, self.around.roots)
            if where(self.around.start.find(name), self.around.roots) == place:
                self.add(Kind.MODULE, name, place)
            else:
                self._searched(name, module)
            if module.is_user and module.path:
                self._source(module)
            elif module.distribution is not None and not self.around.start.reaches(module.distribution.folder):
                for folder in module.folders or (module.path,):  # it lies where the code itself looks for it
                    found = os.path.isdir(folder)
                    kind, now = (
                        (Kind.TREE, self.around.digests.tree) if found else (Kind.FILE, self.around.digests.file)
                    )
                    self.at(kind, folder, str(now(folder)))
            elif module.distribution is not None and not module.is_user:
                distributions.add(module.distribution.name)
                if module.distribution.opaque:
                    self.untracked.add(f"uses the compiled package {module.distribution.name}, which may read files")
        for name in self.modules.missing:
            self.add(Kind.MODULE, name, where(None, self.around.roots))
            self._searched(name, None)
        for path in self.observed.sources:
            self._text(path)
        for path in self.observed.code:
            self.at(Kind.FILE, path, str(self.around.digests.file(path)))
        for name in with_requirements(distributions):
            self.add(Kind.DISTRIBUTION, name, str(self.around.digests.distribution(name)))

    def _searched(self, name: str, module: Module | None) -> None:
        """Where a name was looked for along an import path that the code has changed itself."""
        if "." in name or not self.around.start.differs():
            return
        home = "" if module is None else os.path.dirname(module.folders[0] if module.folders else module.path)
        for entry in sys.path:
            folder = os.path.abspath(entry or os.getcwd())
            if folder == home:
                return
            if of_python(folder) or folder in installed_folders():
                continue
            for candidate in (os.path.join(folder, name + ".py"), os.path.join(folder, name, "__init__.py")):
                if not os.path.exists(candidate):
                    self.at(Kind.ABSENT, candidate, "")

    def _source(self, module: Module) -> None:
        if module.path.endswith(".py"):
            self._text(module.path)
            return
        self.at(Kind.FILE, module.path, str(self.around.digests.file(module.path)))
        if not module.path.endswith(".pyc"):
            self.untracked.add(f"uses the compiled module {os.path.basename(module.path)}, which may read files")

    def _text(self, path: str) -> None:
        try:
            now = status_of(os.stat(path))
        except OSError:
            return
        if self.around.sources.setdefault(path, now) != now:
            raise _changed(path)
        self.at(Kind.SOURCE, path, str(self.around.digests.source(path)))

    def files(self) -> None:
        """Files that were opened, paths that were looked for, folders that were listed."""
        seen = self.observed
        for path, status in [*seen.files.items(), *((path, None) for path in self.around.mapped)]:
            self._file(path, status)
        for path in filter(self._found, seen.absent):
            if os.path.exists(path) and path not in seen.written:
                raise _changed(path)
            if not os.path.exists(path):
                self.at(Kind.ABSENT, path, "")
        for path, stamp in seen.listed.items():
            if not self._found(path):
                continue
            made = sorted(os.path.basename(each) for each in seen.made if os.path.dirname(each) == path)
            own = made or any(os.path.dirname(each) == path for each in seen.written)
            try:
                now = os.stat(path).st_mtime_ns
            except OSError:
                now = -1
            if now != stamp and not own and not self._hidden_inside(path):
                raise _changed(path)
            self.at(Kind.LISTING, path, "\0".join([str(self.around.digests.listing(path, made)), *made]))
        for path, target in seen.links.items():
            if self._found(path):
                self.at(Kind.LINK, path, target)
        for path, status in seen.measured.items():
            if self._found(path) and path not in seen.written:
                self.at(Kind.STATUS, path, said_status(status[2], status[3]))
        for path in set(filter(self._found, seen.present)) - set(seen.files) - set(seen.listed) - set(seen.written):
            if os.path.exists(path):
                self.at(Kind.PRESENT, path, str(presence(path)))

    def _found(self, path: str) -> bool:
        """Whether a path was there before the component made anything of it, or of a folder above it."""
        made = self.observed.made
        return not made or (path not in made and not any(parent in made for parent in _parents(path)))

    def _hidden_inside(self, folder: str) -> bool:
        """Whether bench itself writes below a folder, so that its time says nothing."""
        return any(hidden.startswith(folder.rstrip(os.sep) + os.sep) for hidden in self.around.digests.hidden)

    def _file(self, path: str, status: Status | None) -> None:
        seen = self.observed
        if not self._found(path):
            return
        try:
            now: Status | None = status_of(os.stat(path))
        except OSError:
            now = None
        if path in seen.written and now != seen.written[path]:
            self.untracked.add(f"both reads and writes {self._said(path)}")
            return
        if status is not None and now != status:
            raise _changed(path)
        found = self.around.digests.file(path)
        if found is None:
            raise _changed(path)
        self.at(Kind.FILE, path, found)

    def _said(self, path: str) -> str:
        return self.around.roots.portable(path).removeprefix("work:")

    def variables(self) -> None:
        """Environment variables that were read."""
        for name, value in self.observed.variables.items():
            self.add(Kind.VARIABLE, name, all_variables() if name == ALL_VARIABLES else value_digest(value))

    def named(self, texts: Iterable[str]) -> None:
        """Files and folders that texts name; a folder counts whole, unless files in it were seen being used."""
        for text in texts:
            if not text or len(text) > _LONGEST or "\0" in text:
                continue
            path = os.path.abspath(os.path.expanduser(text))
            if path in self.observed.made or path in self.observed.written or self._bench(path):
                continue
            if os.path.isfile(path):
                self._file(path, None)
            elif os.path.isdir(path) and not self._used_below(path) and not _holds(path, os.getcwd()):
                self.at(Kind.TREE, path, str(self.around.digests.tree(path)))

    def _bench(self, path: str) -> bool:
        return any(path == hidden or path.startswith(hidden + os.sep) for hidden in self.around.digests.hidden)

    def _used_below(self, folder: str) -> bool:
        seen = (*self.observed.files, *self.observed.listed, *self.observed.written)
        return any(_holds(folder, path) for path in seen)

    def declared(self, uses: Sequence[str]) -> None:
        """What the suite says that a component uses."""
        for text in uses:
            path = os.path.abspath(os.path.expanduser(text))
            if os.path.isfile(path):
                self.at(Kind.FILE, path, str(self.around.digests.file(path)))
            elif os.path.isdir(path):
                self.at(Kind.TREE, path, str(self.around.digests.tree(path)))
            elif _VARIABLE.fullmatch(text):
                self.add(Kind.VARIABLE, text, value_digest(os.environ.get(text)))
            else:
                self.at(Kind.ABSENT, path, "")


def _parents(path: str) -> Iterator[str]:
    """The folders above a path."""
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _changed(path: str) -> ChangedError:
    return ChangedError(f"{path} changed while the job used it, so its result was not kept; run the same command again")


def _texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
