"""Values of samples or trials, and the figure of a row that they give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.engine.store import Record
from bench.metrics.measured import NOTE
from bench.results import statistics
from bench.results.row import Row


@dataclass(frozen=True)
class Figures:
    """What a row's figure is computed from.

    Attributes:
        ids: Names of the samples; none where a trial has a single figure.
        trials: For each trial one value a sample, NaN where the sample does not count, or the single figure; (n,).
    """

    ids: Sequence[str]
    trials: tuple[NDArray[np.float64], ...]


def common_note(records: Sequence[Record]) -> str:
    """What trials have to say alike: a deviation within one of them is not said of the mean over all."""
    first, *others = (str(record.meta.get("note", "")).split(NOTE) for record in records)
    return NOTE.join(part for part in first if all(part in other for other in others))


def with_figure(row: Row, figures: Sequence[np.ndarray], shares: str) -> Row:
    """A row with the figure of per-sample values: over samples for one trial, over trials for several."""
    each = [statistics.of_samples(values, shares) for values in figures]
    interval, n = each[0]
    if len(each) > 1:
        share = all(np.isin(values[~np.isnan(values)], (0.0, 1.0)).all() for values in figures)
        least, most = (0.0, 1.0) if share else (-math.inf, math.inf)
        interval = statistics.mean([part.value for part, _ in each], least=least, most=most)
    return replace(row, value=interval.value, low=interval.low, high=interval.high, n=n, trials=len(each))


def invalid_note(count: int) -> str:
    """What to say of examples that verification refused."""
    return f"{count} examples were outside the ball or the box or not finite, and count as failures" if count else ""


def reconstruction_values(record: Record, metric: str, level: int) -> np.ndarray:
    """One value a pair."""
    from bench.metrics.auddc import auddc

    if metric == "auddc":
        x, y = record.arrays["input_distortion"], record.arrays["target_distance"]
        return np.array([auddc(x[:, pair], y[:, pair]) for pair in range(x.shape[1])])
    if metric == "reconstruction_error":
        return np.asarray(record.arrays["reconstruction_error"], np.float64)
    if metric == "success_rate":
        return np.asarray(record.arrays["reached"][level] & record.arrays["valid"][level], np.float64)
    return np.asarray(record.arrays[metric][level], np.float64)
