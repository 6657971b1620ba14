"""The lists themselves: what one component used, and what all components of a job used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from bench.errors import BenchError
from bench.hashing import digest

FORMAT = 1
"""Version of the stored form."""
ALL_VARIABLES = "*"
"""Stands for the names of all environment variables."""
OF_BENCH = {"GOMP_SPINCOUNT", "PYTHONPATH", "PWD", "OLDPWD", "SHLVL", "_", "PYTEST_CURRENT_TEST"}
"""Variables that bench or the shell set anew for each process."""


class Kind(StrEnum):
    """What an entry of a manifest is about; its value is what was found."""

    FILE = "file"
    """A file: the SHA-256 of its bytes."""
    SOURCE = "source"
    """A file of Python source that was imported: the digest of its syntax tree."""
    ABSENT = "absent"
    """A path that was looked for and not found."""
    PRESENT = "present"
    """A path that was looked at and not opened: ``file`` or ``folder``."""
    LINK = "link"
    """A link whose target was asked for: the target."""
    STATUS = "status"
    """A file whose status was asked for: its size and the time of its last change."""
    LISTING = "listing"
    """A folder whose names were listed: their digest, then names that the job made itself."""
    TREE = "tree"
    """A folder that counts whole: the digest of all names and contents below it."""
    MODULE = "module"
    """A module's name: the path it resolves to."""
    VARIABLE = "variable"
    """An environment variable: the digest of its value."""
    DISTRIBUTION = "distribution"
    """An installed distribution: its version and the digest of its `RECORD`."""
    PYTHON = "python"
    """The version of Python that syntax trees were made with."""


class Entry(tuple[Kind, str]):
    """The name of an entry: its kind, and what it is about. Written ``kind name``."""

    __slots__ = ()

    def __new__(cls, kind: Kind, name: str) -> Entry:
        """Join a kind and a name."""
        return super().__new__(cls, (kind, name))

    def __str__(self) -> str:
        """``kind name``."""
        return f"{self[0]} {self[1]}"

    @classmethod
    def parse(cls, text: str) -> Entry:
        """Read ``kind name``; a ValueError if it is not of that form."""
        kind, _, name = text.partition(" ")
        return cls(Kind(kind), name)


@dataclass(frozen=True)
class Manifest:
    """What one component used.

    Attributes:
        entries: What was found, by the text of the `Entry`.
        untracked: What it did that no list can hold, one phrase each; empty where the list is complete.
        declared: Whether the suite declares the rest with `uses:`, so that the list counts as complete.
    """

    entries: Mapping[str, str]
    untracked: tuple[str, ...] = ()
    declared: bool = False

    @property
    def complete(self) -> bool:
        """Whether the list holds all that the component used."""
        return self.declared or not self.untracked


@dataclass(frozen=True)
class Manifests:
    """What all components of a job used.

    Attributes:
        components: By what a reader calls the component, such as ``model 'ours'``.
        run: Names the run, where a list is incomplete and so no other run may find the result by it.
    """

    components: Mapping[str, Manifest] = field(default_factory=dict)
    run: str = ""

    @cached_property
    def content(self) -> str:
        """Names what was used, whichever run used it."""
        return digest(self._facts())

    @cached_property
    def by_component(self) -> dict[str, str]:
        """Names what each component used."""
        return {name: digest(facts) for name, facts in self._facts().items()}

    @cached_property
    def id(self) -> str:
        """The name it is stored by; empty where nothing was used."""
        return digest(self.to_json()) if self.components else ""

    def untracked(self) -> dict[str, tuple[str, ...]]:
        """The components whose list is incomplete, with what they did."""
        return {name: each.untracked for name, each in self.components.items() if not each.complete}

    def _facts(self) -> dict[str, Any]:
        return {
            name: {"entries": dict(each.entries), "untracked": list(each.untracked), "declared": each.declared}
            for name, each in self.components.items()
        }

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"format": FORMAT, "run": self.run, "components": self._facts()}

    @classmethod
    def from_json(cls, stored: Any) -> Manifests:
        """Read the stored form.

        Raises:
            ManifestError: It is not one.
        """
        try:
            if stored["format"] != FORMAT:
                raise ManifestError(f"expected format {FORMAT}, found {stored['format']!r}")
            components = {}
            for name, each in stored["components"].items():
                entries = {str(Entry.parse(key)): _text(value) for key, value in each["entries"].items()}
                untracked = tuple(_text(phrase) for phrase in each["untracked"])
                components[_text(name)] = Manifest(entries, untracked, each["declared"] is True)
            return cls(components, _text(stored["run"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ManifestError(f"not a manifest: {type(error).__name__}: {error}") from error


class ManifestError(BenchError):
    """A stored manifest that cannot be read."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, found {value!r}")
    return value


def as_bytes(manifests: Manifests) -> bytes:
    """The stored form as bytes."""
    return json.dumps(manifests.to_json(), sort_keys=True, separators=(",", ":")).encode()
