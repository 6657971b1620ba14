"""Snapshots of runs that never were, for gates to compare."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from bench.results.snapshot import Gated, Recorded, Snapshot, pack, pack_ids

ROW = "whitebox/cnn/worst-case/linf-0.3/robust_accuracy"
ONE_MACHINE = {"processor": "P", "torch": "2.11", "threads": 2}


def recorded(values: Sequence[ArrayLike], ids: Sequence[str] = (), **facts: object) -> Recorded:
    arrays = [np.asarray(trial, np.float64) for trial in values]
    row = Recorded(
        "ok", "", float(np.mean([np.nanmean(trial) for trial in arrays])), math.nan, math.nan, "higher",
        len(arrays[0]), len(arrays), 10.0, 10.0, 700.0, "unaudited", "unaudited", "data", "method", "whole", True,
        samples=str(len(ids)) if ids else "", values=tuple(map(pack, arrays)),
    )  # fmt: skip
    return replace(row, **facts)  # type: ignore[arg-type]


packed_once = functools.cache(pack_ids)


def snapshot(rows: Mapping[str, Recorded], ids: Mapping[str, Sequence[str]] | None = None, **facts: object) -> Snapshot:
    """A run on a GPU, where nothing is exact, unless the facts say otherwise."""
    gated = {row: Gated() for row in rows}
    packed = {key: packed_once(tuple(names)) for key, names in (ids or {}).items()}
    made = Snapshot("robustness", "cuda", ONE_MACHINE, 0.01, 0.1, 0.25, gated, rows, packed, {"seed": 0})
    return replace(made, **facts)  # type: ignore[arg-type]


def run_of(outcomes: ArrayLike, row: str = ROW, names: Sequence[str] | None = None, **facts: object) -> Snapshot:
    """A run with one row of one trial."""
    names = names or [f"mnist/{index}" for index in range(len(np.asarray(outcomes)))]
    rows = {row: recorded([outcomes], names, **{k: v for k, v in facts.items() if k in Recorded.__dataclass_fields__})}
    rest = {k: v for k, v in facts.items() if k not in Recorded.__dataclass_fields__}
    return snapshot(rows, {str(len(names)): names}, **rest)
