"""Digests of JSON values and of arrays: what content addresses are made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def digest(identity: Any) -> str:
    """32 hexadecimal digits that name a JSON value; the order of keys does not matter.

    >>> digest({"a": 1, "b": [0.1]}) == digest({"b": [0.1], "a": 1})
    True
    """
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def arrays_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """32 hexadecimal digits that name a set of arrays: names, types, shapes and bytes."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")  # ascontiguousarray would give a scalar a dimension
        total.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        total.update(array.data if array.size else b"")
    return total.hexdigest()[:32]
