"""Content addresses: what a job depends on, hashed."""

from __future__ import annotations

import hashlib
import importlib.machinery
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def digest(identity: Any) -> str:
    """32 hexadecimal digits that name a JSON value; the order of keys does not matter.

    >>> digest({"a": 1, "b": [0.1]}) == digest({"b": [0.1], "a": 1})
    True
    """
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def arrays_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """32 hexadecimal digits that name a set of arrays: names, types, shapes and bytes."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")  # ascontiguousarray would give a scalar a dimension
        total.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        total.update(array.data if array.size else b"")
    return total.hexdigest()[:32]


def source_file(name: str) -> Path | None:
    """The file that `package.module:callable` comes from, found without importing anything; None if not found."""
    module, _, _ = name.partition(":")
    search: list[str] | None = None
    spec = None
    parts = module.split(".")
    for index in range(len(parts)):
        try:
            spec = importlib.machinery.PathFinder.find_spec(".".join(parts[: index + 1]), search)
        except (ImportError, ValueError):
            return None
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or [])
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def source_digest(name: str) -> str | None:
    """SHA-256 of the source file of `package.module:callable`; None where there is no source to read."""
    path = source_file(name)
    try:
        return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()[:32]
    except OSError:
        return None


def search_here() -> None:
    """Let import names be found from the folder bench is run from, as `python -m` does."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
