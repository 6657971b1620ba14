"""Users' modules, kept apart: jobs that run other components see other modules.

A module remembers: it caches what it read, registers what it made. What a job was made of must not depend on the jobs
before it, so each set of components has a *world*: its own modules, loaded for it alone, and its own account of what
they used. A worker process has one world of users' code at the most and is replaced for the next; in this process
(`inline`) the modules of a world are put away while another one works.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from bench.engine.components import components, world_name
from bench.manifest.component import Component
from bench.manifest.digests import Digests
from bench.manifest.entries import ALL_VARIABLES, Manifests
from bench.manifest.making import Surroundings, make
from bench.manifest.modules import Resolver, closure, owner_of
from bench.manifest.recorder import RECORDER, Observed, Status, status_of
from bench.manifest.roots import Roots, below, installed_folders, library_folders


@dataclass
class World:
    """The modules of one set of components.

    Attributes:
        name: Names the components; empty where no user's code is run.
        components: The components.
        modules: Its modules while another world works.
        observed: What its components were seen to do, by label.
        sources: Its sources with their status when they were loaded.
        path: Its import path, while another world works.
        environment: Its environment variables, while another world works.
        set_here: Environment variables that its components set or removed themselves.
    """

    name: str
    components: Sequence[Component]
    modules: dict[str, ModuleType] = field(default_factory=dict)
    observed: dict[str, Observed] = field(default_factory=dict)
    sources: dict[str, Status] = field(default_factory=dict)
    path: list[str] | None = None
    environment: dict[str, str] | None = None
    set_here: set[str] = field(default_factory=set)


class Worlds:
    """The worlds of one process.

    Args:
        forget: Called with a world's name when its modules are dropped, to drop what was made of them.
    """

    def __init__(self, forget: Callable[[str], object] = str) -> None:
        self._forget = forget
        self._worlds: dict[str, World] = {}
        self._current: World | None = None
        self._before: dict[str, ModuleType] = {}
        self._others: frozenset[str] = frozenset()
        self._path_before: list[str] = []
        self._environment_before: dict[str, str] = {}
        self._mapped: set[str] = set()
        self._path = list(sys.path)

    def enter(self, kind: str, work: Mapping[str, Any], hidden: Sequence[str]) -> World:
        """Take up the world of a job, as it was left or anew where one of its files has changed since."""
        name = world_name(kind, work)
        if not name:
            return World("", ())
        RECORDER.install()
        world = self._worlds.get(name)
        if self._current is not None and self._current is not world:
            self._put_away()
        if world is not None and _is_stale(world):
            self._drop(world)
            world = None
        if world is None:
            world = self._worlds[name] = World(name, components(kind, work))
        if self._current is None:
            self._set_aside(world)
            sys.modules.update(world.modules)
            _restore(world.path, world.environment)
            importlib.invalidate_caches()
        self._current = world
        RECORDER.begin(world.observed, hidden, world.set_here)
        self._mapped = self._mapped or set(_mapped())
        return world

    def leave(self) -> None:
        """Put back the modules that were there before the first world."""
        if self._current is not None:
            self._put_away()

    def _set_aside(self, world: World) -> None:
        """Take loaded modules that the world may import out of the way."""
        names = [component.code.partition(":")[0] for component in world.components]
        wanted = {name.partition(".")[0] for name, found in closure(names, Resolver()).modules.items() if found.is_user}
        loaded = _users_modules()
        self._before = {name: module for name, module in loaded.items() if name.partition(".")[0] in wanted}
        self._others = frozenset(loaded) - set(self._before)
        self._path_before, self._environment_before = list(sys.path), dict(os.environ)
        for name in self._before:
            del sys.modules[name]

    def _own_modules(self) -> dict[str, ModuleType]:
        """The modules that the current world has loaded."""
        return {name: module for name, module in _users_modules().items() if name not in self._others}

    def _put_away(self) -> None:
        """Take the current world's modules away and put those back that were there before it."""
        modules = self._own_modules()
        for name in modules:
            del sys.modules[name]
        sys.modules.update(self._before)
        if self._current is not None:
            self._current.modules = modules
            self._current.path, self._current.environment = list(sys.path), dict(os.environ)
        _restore(self._path_before, self._environment_before)
        self._before, self._current = {}, None

    def _drop(self, world: World) -> None:
        """Forget a world and all that was made of its modules."""
        if self._current is world:
            self._put_away()
        self._worlds.pop(world.name, None)
        self._forget(world.name)

    @staticmethod
    def untracked(label: str, phrase: str) -> None:
        """Note that a component did what no list can hold."""
        RECORDER.of(label).untracked.add(phrase)

    @contextmanager
    def job(self, world: World) -> Iterator[None]:
        """Note what the world's code does in the block."""
        if not world.name:
            yield
            return
        models = [component.label for component in world.components if component.role == "model"]
        RECORDER.calls = models[0] if models else ""
        try:
            with RECORDER.job(world.components[0].label):
                yield
        finally:
            RECORDER.calls = ""

    def manifests(self, world: World, suite_folder: str | None, digests: Digests, run: str) -> Manifests:
        """What the components of a job used.

        Args:
            world: The job's world.
            suite_folder: Folder of the suite file.
            digests: Digests of files, as they are now.
            run: Names the run.

        Raises:
            ChangedError: A file changed while the job used it.
        """
        if not world.name:
            return Manifests()
        RECORDER.collect()
        by_label: dict[str, list[Component]] = {}
        for component in world.components:
            by_label.setdefault(component.label, []).append(component)
        resolver = Resolver()
        # what somebody imported by a name that no source holds may be anybody's
        known = closure([component.code.partition(":")[0] for component in world.components], resolver).modules
        around = Surroundings(
            Roots.here(suite_folder),
            digests,
            resolver,
            Resolver(self._path),
            sorted(set(self._own_modules()) - set(known)),
            self._new_mapped(world),
            world.sources,
        )
        made = {label: make(group, world.observed.get(label, Observed()), around) for label, group in by_label.items()}
        complete = Manifests(made)
        return Manifests(made, run) if complete.untracked() else complete

    def _new_mapped(self, world: World) -> list[str]:
        """Files that were mapped since the first world began, and that nobody was seen to open."""
        known = {path for observed in world.observed.values() for path in (*observed.files, *observed.made)}
        found = set(_mapped()) - self._mapped - known
        skipped = (*installed_folders(), *library_folders(), sys.prefix, sys.base_prefix, *RECORDER.hidden)
        return sorted(path for path in found if not below(path, skipped) and owner_of(path)[0] == "user")


def _restore(path: list[str] | None, environment: dict[str, str] | None) -> None:
    """Put the import path and the environment back to what they were."""
    if path is not None and sys.path != path:
        sys.path[:] = path
    if environment is not None and dict(os.environ) != environment:
        for name in set(os.environ) - set(environment):
            del os.environ[name]
        os.environ.update(environment)


def _is_stale(world: World) -> bool:
    """Whether a file that a world loaded or read has changed since."""
    seen: dict[str, Status] = dict(world.sources)
    for observed in world.observed.values():
        seen |= {path: status for path, status in observed.files.items() if path not in observed.made}
        if any(os.path.exists(path) for path in observed.absent - observed.made):
            return True
        if any(
            os.environ.get(name) != value
            for name, value in observed.variables.items()
            if name not in (ALL_VARIABLES, *world.set_here)
        ):
            return True
    for path, status in seen.items():
        try:
            if status_of(os.stat(path)) != status:
                return True
        except OSError:
            return True
    return False


def _users_modules() -> dict[str, ModuleType]:
    """The loaded modules of users, by name."""
    return {name: module for name, module in list(sys.modules.items()) if name != "__main__" and _is_users(module)}


_owners: dict[str, bool] = {}


def _is_users(module: Any) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        folders = getattr(module, "__path__", None)  # a namespace package
        try:
            file = next(iter(folders), None) if folders is not None else None
        except (TypeError, KeyError):
            file = None
        if not isinstance(file, str):
            return False
    if file not in _owners:
        _owners[file] = owner_of(os.path.abspath(file))[0] == "user" and not below(file, (sys.base_prefix,))
    return _owners[file]


_SYSTEM = (
    "/usr/",
    "/lib/",
    "/lib64/",
    "/opt/",
    "/dev/",
    "/proc/",
    "/sys/",
    "/SYSV",
    "[",
    "/tmp/torchinductor_",  # noqa: S108 - read, never written
    "/memfd",
)


def _mapped() -> list[str]:
    """Files that this process has mapped into its memory; none but on Linux."""
    found: set[str] = set()
    with (
        suppress(OSError),
        RECORDER.quiet(),
        open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps,
    ):
        for line in maps:
            path = line.rstrip("\n").split(None, 5)[5:]
            if (
                path
                and path[0].startswith("/")
                and not path[0].startswith(_SYSTEM)
                and not path[0].endswith(" (deleted)")
            ):
                found.add(path[0])
    return sorted(found)
