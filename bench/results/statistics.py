"""Intervals for the figures of a leaderboard. SciPy's special functions only: scipy.stats takes a second to import."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri, stdtrit

CONFIDENCE = 0.95
"""Confidence of every interval."""


class Interval(NamedTuple):
    """A figure with its interval; `low` and `high` are NaN where there is no honest one."""

    value: float
    low: float
    high: float


def wilson(successes: float, n: int) -> Interval:
    """A share with its Wilson score interval.

    Args:
        successes: 0 to n.
        n: Number of trials; with 0 everything is NaN.

    Source: Wilson 1927.

    >>> tuple(round(value, 3) for value in wilson(500, 1000))
    (0.5, 0.469, 0.531)
    """
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    z = float(ndtri(0.5 + CONFIDENCE / 2))
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def clopper_pearson(successes: float, n: int) -> Interval:
    """A share with the exact interval of Clopper and Pearson: it holds the truth at least as often as it says.

    Args:
        successes: 0 to n.
        n: Number of trials; with 0 everything is NaN.

    Source: Clopper and Pearson 1934.

    >>> tuple(round(value, 3) for value in clopper_pearson(500, 1000))
    (0.5, 0.469, 0.531)
    """
    if n == 0:
        return Interval(math.nan, math.nan, math.nan)
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Interval(successes / n, low, high)


SHARES: Mapping[str, Callable[[float, int], Interval]] = {"wilson": wilson, "clopper-pearson": clopper_pearson}
"""Intervals for shares, by the name a suite has for them."""


def mean(values: ArrayLike, *, least: float = -math.inf, most: float = math.inf) -> Interval:
    """A mean with Student's interval; NaN bounds for a single value.

    Args:
        values: Shape (n,).
        least: The smallest value there can be; the interval ends there.
        most: The largest.

    >>> tuple(round(value, 2) for value in mean([1.0, 2.0, 3.0]))
    (2.0, -0.48, 4.48)
    """
    array = np.asarray(values, np.float64)
    if len(array) == 0:
        return Interval(math.nan, math.nan, math.nan)
    centre = float(array.mean())
    if len(array) == 1:
        return Interval(centre, math.nan, math.nan)
    quantile = float(stdtrit(len(array) - 1, 0.5 + CONFIDENCE / 2))
    half = quantile * float(array.std(ddof=1)) / math.sqrt(len(array))
    low, high = centre - half, centre + half
    return Interval(centre, max(least, low), min(most, high))


def of_samples(values: ArrayLike, shares: str = "wilson") -> tuple[Interval, int]:
    """The mean of one value a sample, NaN left out, and how many were left; of yes or no as a share, else by Student.

    Args:
        values: Shape (n,).
        shares: The interval for shares: ``wilson`` or ``clopper-pearson``.

    >>> interval, n = of_samples([1.0, 0.0, float("nan"), 1.0])
    >>> round(interval.value, 3), n
    (0.667, 3)
    """
    array = np.asarray(values, np.float64)
    array = array[~np.isnan(array)]
    if np.isin(array, (0.0, 1.0)).all():
        return SHARES[shares](float(array.sum()), len(array)), len(array)
    return mean(array), len(array)
