"""A user's code that was edited since this process imported it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from bench.catalogue import is_import_name
from bench.engine.keys import source_digest

_seen: dict[str, str] = {}


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


def _import_names(value: Any) -> Iterator[str]:
    """Every text in a JSON value that has the shape of an import name."""
    if isinstance(value, str):
        if is_import_name(value):
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _import_names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _import_names(item)
