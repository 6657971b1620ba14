"""A user's code, named in jobs by where it can be imported from."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from bench.catalogue import import_by_name, is_import_name
from bench.engine.keys import source_digest
from bench.errors import BenchError

_NAMING = ("load", "name", "source")
"""Keys of a job's work that may hold an import name."""

_seen: dict[str, str] = {}


def import_ahead(work: Mapping[str, Any]) -> None:
    """Import what a job names, before anything is seeded for it.

    Modules may draw from the global generators while they are imported. What a job draws must not depend on whether
    it is the first to import them. A name that cannot be imported is left to the job, which says so.
    """
    for name in _import_names(work):
        try:
            import_by_name(name)
        except BenchError:
            continue


def forget_edited(work: Mapping[str, Any]) -> None:
    """Forget the modules a job names whose source has changed since the last job here that named them.

    Keys are made from the source as it is on disk. In a notebook, Python would go on using the module as it was
    first imported, and the result of old code would be stored under the key of the new.
    """
    for name in _import_names(work):
        source = source_digest(name)
        if source is None:
            continue
        module = name.partition(":")[0]
        if _seen.get(module, source) != source:
            sys.modules.pop(module, None)
            importlib.invalidate_caches()
        _seen[module] = source


def _import_names(work: Mapping[str, Any]) -> Iterator[str]:
    """The import names in a job's work, at whatever depth."""
    for key, value in work.items():
        if isinstance(value, Mapping):
            yield from _import_names(value)
        elif key in _NAMING and isinstance(value, str) and is_import_name(value):
            yield value
