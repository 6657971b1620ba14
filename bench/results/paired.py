"""Two runs on the same samples: what flipped, whether that is chance, and what could have been seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.chance import at_least
from bench.errors import BenchError

_ROUNDING = 1e-5
"""Relative difference of two figures up to which they are equal."""
LEVEL = 0.01
"""Largest probability of calling chance a regression, over all rows of a gate, unless the suite says otherwise."""


@dataclass(frozen=True)
class Flips:
    """Samples that two runs answer differently.

    Attributes:
        lost: Samples for which the second run is worse.
        gained: Samples for which it is better.
        n: Samples in all.
        drop: Mean by which it is worse, in the figure's units; for yes or no the share lost less the share gained.
    """

    lost: int
    gained: int
    n: int
    drop: float

    @property
    def p_drop(self) -> float:
        """Probability of at least as many losses among the flips if a flip went either way alike."""
        return at_least(self.lost, self.lost + self.gained)

    @property
    def p_gain(self) -> float:
        """The same for gains."""
        return at_least(self.gained, self.lost + self.gained)


def worsening(before: ArrayLike, now: ArrayLike, *, higher_is_better: bool = True) -> NDArray[np.float64]:
    """By how much each sample is worse now, shape (n,): positive is worse.

    Raises:
        BenchError: Other numbers of samples, or none.

    >>> worsening([1, 1, 0], [1, 0, 1])
    array([ 0.,  1., -1.])
    """
    first, second = np.asarray(before, np.float64), np.asarray(now, np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) == 0:
        raise BenchError(f"expected outcomes of the same samples, found {first.shape} and {second.shape}")
    worse = first - second if higher_is_better else second - first
    # the last bits of a float32 say nothing, and differ from machine to machine
    worse[np.abs(worse) <= _ROUNDING * np.maximum(np.abs(first), np.abs(second))] = 0
    return worse


def flips(worse: NDArray[np.float64]) -> Flips:
    """Count flips: of yes or no this is McNemar's table, of other figures that of the sign test.

    >>> flips(worsening([1, 1, 0, 1], [1, 0, 1, 0]))
    Flips(lost=2, gained=1, n=4, drop=0.25)
    """
    return Flips(int((worse > 0).sum()), int((worse < 0).sum()), len(worse), float(worse.mean()))


def smallest_drop(gained: int, n: int, level: float = LEVEL) -> float:
    """The smallest drop of a share that would have been no chance beside so many gains; NaN where none would.

    >>> smallest_drop(0, 1000)
    0.007
    """
    low, high = gained, n - gained
    if at_least(high, high + gained) > level:
        return math.nan
    while high - low > 1:
        middle = (low + high) // 2
        if at_least(middle, middle + gained) <= level:
            high = middle
        else:
            low = middle
    return (high - gained) / n


def holm(p_values: Sequence[float]) -> list[float]:
    """Probabilities adjusted for how many there are, so that each may be compared with the level of all.

    Source: Holm 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(order), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = round(largest, 12)
    return adjusted


def student(before: ArrayLike, now: ArrayLike, *, noise: float, higher_is_better: bool = True) -> tuple[float, float]:
    """Probabilities of so large a drop and of so large a gain between trials that vary alike in both sets.

    Two or three trials say little of how much trials vary. So one variance is taken for both sets, and no smaller a one
    than the samples behind each figure give it.

    Args:
        before: One figure a trial.
        now: The same of the other run; both together have at least three.
        noise: Variance of a figure by its samples alone.
        higher_is_better: Whether a smaller figure is a drop.

    Source: Student 1908.

    >>> tuple(round(p, 3) for p in student([10.0, 11.0, 12.0], [7.0, 8.0, 9.0], noise=0.0))
    (0.011, 0.989)
    >>> tuple(round(p, 4) for p in student([0.9], [0.1, 0.1, 0.1], noise=0.001))
    (0.001, 0.999)
    """
    from scipy.special import stdtr

    first, second = np.asarray(before, np.float64), np.asarray(now, np.float64)
    free = len(first) + len(second) - 2
    spread = float(((first - first.mean()) ** 2).sum() + ((second - second.mean()) ** 2).sum()) / free
    width = math.sqrt(max(spread, noise) * (1 / len(first) + 1 / len(second)))
    lost = float(first.mean() - second.mean()) * (1 if higher_is_better else -1)
    if width == 0:
        return (0.5, 0.5) if lost == 0 else ((0.0, 1.0) if lost > 0 else (1.0, 0.0))
    p = float(stdtr(free, -lost / width))
    return p, 1 - p


def welch(before: ArrayLike, now: ArrayLike, *, higher_is_better: bool = True) -> tuple[float, float]:
    """Probabilities of so large a drop and of so large a gain between the means of two sets of trials.

    Args:
        before: One figure a trial, at least two.
        now: The same of the other run.
        higher_is_better: Whether a smaller figure is a drop.

    Source: Welch 1947.

    >>> tuple(round(p, 3) for p in welch([10.0, 11.0, 12.0], [7.0, 8.0, 9.0]))
    (0.011, 0.989)
    """
    from scipy.special import stdtr

    first, second = np.asarray(before, np.float64), np.asarray(now, np.float64)
    drop = first.mean() - second.mean()
    drop = drop if higher_is_better else -drop
    parts = [values.var(ddof=1) / len(values) for values in (first, second)]
    error = math.sqrt(sum(parts))
    if error == 0:  # no spread to judge by: the exact chance that all of one set come out on one side
        chance = 1 / math.comb(len(first) + len(second), len(first))
        return (1.0 if drop <= 0 else chance), (1.0 if drop >= 0 else chance)
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    p_drop = float(stdtr(freedom, -drop / error))
    return p_drop, 1 - p_drop
