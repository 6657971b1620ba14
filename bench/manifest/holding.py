"""Whether a manifest still holds here."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bench.hashing import digest
from bench.manifest.digests import PYTHON, Digests
from bench.manifest.distributions import forget
from bench.manifest.entries import ALL_VARIABLES, OF_BENCH, Entry, Kind, Manifests
from bench.manifest.modules import Module, Resolver
from bench.manifest.roots import Roots

UNSET = "unset"
NOWHERE = "nowhere"


class Holding:
    """Compares manifests with what is here now; every entry is looked at once.

    Args:
        roots: Where relative paths begin.
        digests: Digests of files.
    """

    def __init__(self, roots: Roots, digests: Digests) -> None:
        forget()
        self.roots, self.digests = roots, digests
        self._resolver = Resolver()
        self._now: dict[str, str | None] = {}
        self._known: dict[str, str] = {}

    def change(self, manifests: Manifests) -> str:
        """The first thing that is not as it was, as part of a sentence; empty where all is."""
        key = manifests.id
        if key not in self._known:
            self._known[key] = next(self._changes(manifests), "")
        return self._known[key]

    def _changes(self, manifests: Manifests) -> Iterator[str]:
        for component, manifest in manifests.components.items():
            for text, value in manifest.entries.items():
                if self.now(text, value) != value:
                    yield f"{said(Entry.parse(text), value, self.now(text, value))} ({component})"

    def now(self, text: str, then: str = "") -> str | None:
        """The value of an entry as it is now.

        Args:
            text: The entry.
            then: Its stored value, which says what a listing leaves out.
        """
        key = f"{text}\0{then}" if text.startswith(Kind.LISTING) else text
        if key not in self._now:
            self._now[key] = self._look(Entry.parse(text), then)
        return self._now[key]

    def _look(self, entry: Entry, then: str) -> str | None:
        kind, name = entry
        if kind is Kind.MODULE:
            return where(self._resolver.find(name), self.roots)
        if kind is Kind.VARIABLE:
            return all_variables() if name == ALL_VARIABLES else value_digest(os.environ.get(name))
        if kind is Kind.DISTRIBUTION:
            return self.digests.distribution(name)
        if kind is Kind.PYTHON:
            return PYTHON
        path = self.roots.locate(name)
        if path is None:
            return None
        if kind is Kind.FILE:
            return self.digests.file(path)
        if kind is Kind.SOURCE:
            return self.digests.source(path)
        if kind is Kind.STATUS:
            return status_now(path)
        if kind is Kind.TREE:
            return self.digests.tree(path)
        if kind is Kind.LISTING:
            _, *without = then.split("\0")
            return "\0".join([str(self.digests.listing(path, without)), *without])
        if kind is Kind.ABSENT:
            return None if os.path.exists(path) else ""
        return link_target(path) if kind is Kind.LINK else presence(path)


def where(module: Module | None, roots: Roots) -> str:
    """What a module's name resolves to, as a manifest has it."""
    if module is None:
        return NOWHERE
    if module.owner == "python":
        return "python" if module.path or not module.folders else "namespace"
    if module.owner == "distribution" and module.distribution is not None:
        return f"distribution {module.distribution.name}"
    return roots.portable(module.path) if module.path else " ".join(dict.fromkeys(map(roots.portable, module.folders)))


def value_digest(value: str | None) -> str:
    """What a manifest keeps of an environment variable: it may be a secret."""
    return UNSET if value is None else digest(["variable", value])


def presence(path: str) -> str | None:
    """What a manifest keeps of a path that was looked at: file or folder, and whether it is a link to one."""
    kind = "folder" if os.path.isdir(path) else "file" if os.path.exists(path) else None
    return f"link to a {kind}" if os.path.islink(path) and kind else kind


def link_target(path: str) -> str | None:
    """Where a link leads; None where there is no link."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def all_variables() -> str:
    """What a manifest keeps of the names of all environment variables."""
    return digest(["variables", sorted(set(os.environ) - OF_BENCH)])


def said_status(size: int, changed: int) -> str:
    """What a manifest keeps of a file's status."""
    return f"{size} bytes, changed at {changed} ns"


def status_now(path: str) -> str | None:
    """A file's status as a manifest keeps it; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return said_status(found.st_size, found.st_mtime_ns)


def said(entry: Entry, then: str, now: str | None) -> str:
    """What has changed, as part of a sentence."""
    kind, name = entry
    place = name.removeprefix("work:")
    if kind is Kind.MODULE:
        return f"import {name} finds another file"
    if kind is Kind.VARIABLE and name == ALL_VARIABLES:
        return "other environment variables are set"
    if kind is Kind.VARIABLE:
        if UNSET in (then, now):
            return f"the environment variable {name} {'was not set' if then == UNSET else 'is not set any more'}"
        return f"the environment variable {name} has another value"
    if kind is Kind.DISTRIBUTION:
        return f"the package {name} has been installed anew" if now else f"the package {name} is not installed any more"
    if kind is Kind.PYTHON:
        return f"Python was {then} and is {now}"
    if kind is Kind.ABSENT:
        return f"{place} was not there"
    if kind in (Kind.LISTING, Kind.TREE):
        return f"the folder {place} has other contents"
    return f"{place} has changed" if now else f"{place} is gone"
