"""Mode collapse as PacGAN's theory has it: regions of (epsilon, delta), and distances of packed distributions."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from bench.errors import MetricError

MOST_TYPES = 5_000_000
"""Kinds of packs that `packed_total_variation` goes through at the most."""


def total_variation(p: ArrayLike, q: ArrayLike) -> float:
    """Half the sum of absolute differences of two distributions over the same atoms, 0 to 1.

    >>> round(total_variation([0.2, 0.8], [0.0, 1.0]), 12)
    0.2
    """
    first, second = _distributions(p, q)
    return float(np.abs(first - second).sum() / 2)


def packed_total_variation(p: ArrayLike, q: ArrayLike, degree: int) -> float:
    """The total variation between packs: `degree` independent draws from p, and from q.

    Atoms with the same ratio p / q are as one, and packs that hold each kind of atom equally often have the same
    probability, so that the sum goes over kinds of packs and not over packs.

    Args:
        p: Probabilities, shape (k,).
        q: Probabilities of the same atoms, shape (k,).
        degree: Draws in a pack, at least 1.

    Raises:
        MetricError: Not two distributions over the same atoms, or too many kinds of packs.

    Source: Lin, Khetan, Fanti, Oh 2018, section 3.

    >>> [round(packed_total_variation([0.2, 0.8], [0.0, 1.0], m), 3) for m in range(1, 7)]
    [0.2, 0.36, 0.488, 0.59, 0.672, 0.738]
    """
    first, second = _merged(*_distributions(p, q))
    kinds = math.comb(len(first) + degree - 1, degree)
    if kinds > MOST_TYPES:
        raise MetricError(
            f"packs of {degree} from {len(first)} atoms with different ratios come in {kinds:,} kinds, more than "
            f"{MOST_TYPES:,}; ask for a smaller degree"
        )
    log_first, log_second = _logarithm(first), _logarithm(second)
    total, block = 0.0, max(1, 200_000 // degree)
    packs = itertools.combinations_with_replacement(range(len(first)), degree)
    while chunk := list(itertools.islice(packs, block)):
        rows = np.array(chunk)
        ways = _orderings(rows)
        total += float(np.abs(np.exp(ways + log_first[rows].sum(1)) - np.exp(ways + log_second[rows].sum(1))).sum())
    return total / 2


def collapse_region(p: ArrayLike, q: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The upper boundary of the mode-collapse region of a generator q for a target p.

    A point (epsilon, delta) is in the region when some set has at least delta of p's mass and at most epsilon of q's.
    The boundary runs straight between the points returned, from (0, 0) or (0, delta) to (1, 1): atoms are taken in by
    rising q / p. The largest delta - epsilon on it is the total variation.

    Args:
        p: Probabilities of the target, shape (k,).
        q: Probabilities of the generator, shape (k,).

    Returns:
        Epsilon and delta of the boundary's corners, both rising.

    Source: Lin, Khetan, Fanti, Oh 2018, definition 1 and section 3.2.

    >>> collapse_region([0.5, 0.5], [0.0, 1.0])
    (array([0., 0., 1.]), array([0. , 0.5, 1. ]))
    """
    first, second = _merged(*_distributions(p, q))
    return np.concatenate([[0.0], np.cumsum(second)]), np.concatenate([[0.0], np.cumsum(first)])


def packed_range(distance: float, degree: int) -> tuple[float, float]:
    """The smallest and largest total variation of packs, over all pairs of distributions at a total variation.

    Source: Lin, Khetan, Fanti, Oh 2018, theorem 3.

    >>> [round(value, 3) for value in packed_range(0.2, 3)]
    [0.265, 0.488]
    """

    def packed(alpha: float) -> float:
        return packed_total_variation([1 - alpha, alpha], [1 - alpha - distance, alpha + distance], degree)

    if distance in (0.0, 1.0):
        return distance, distance
    grid = np.linspace(0.0, 1.0 - distance, 41)
    start = int(np.argmin([packed(alpha) for alpha in grid]))
    around = grid[max(0, start - 1)], grid[min(len(grid) - 1, start + 1)]
    least = minimize_scalar(packed, bounds=around, method="bounded", options={"xatol": 1e-9}).fun
    return float(min(least, packed(0.0), packed(1.0 - distance))), float(1 - (1 - distance) ** degree)


def expected_distance(p: ArrayLike, draws: int) -> float:
    """How far the shares of an outcome among draws are from its probabilities, in total variation and on average.

    Args:
        p: Probabilities, shape (k,).
        draws: Independent draws, at least 1.

    Source: the mean absolute deviation of a binomial, de Moivre 1730.

    >>> round(expected_distance([0.5, 0.5], 2), 6)
    0.25
    """
    (target, _), n = _distributions(p, p), draws
    total = 0.0
    for share in target[(target > 0) & (target < 1)].tolist():
        above = min(n, math.floor(n * share) + 1)
        ways = math.lgamma(n + 1) - math.lgamma(above + 1) - math.lgamma(n - above + 1)
        total += above * math.exp(ways + above * math.log(share) + (n - above + 1) * math.log1p(-share))
    return total / n


def _distributions(p: ArrayLike, q: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as float64 arrays; a `MetricError` when they are not distributions over the same atoms."""
    first, second = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if first.ndim != 1 or first.shape != second.shape or len(first) == 0:
        raise MetricError(f"expected two distributions over the same atoms, found shapes {first.shape}, {second.shape}")
    for values in (first, second):
        if not (values >= -1e-12).all() or abs(values.sum() - 1) > 1e-6:
            raise MetricError(f"expected probabilities that sum to 1, found values that sum to {values.sum():g}")
    return np.clip(first, 0, None), np.clip(second, 0, None)


def _merged(p: NDArray[np.float64], q: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Atoms of equal q / p as one, by rising q / p; atoms without mass left out."""
    there = (p > 0) | (q > 0)
    # an angle, so that p = 0 is an ordinary value; rounded, so that rounding errors do not keep equal ratios apart
    ratio = np.round(np.arctan2(q[there], p[there]), 12)
    _, group = np.unique(ratio, return_inverse=True)
    merged = [np.bincount(group, values[there]).astype(np.float64) for values in (p, q)]
    return merged[0], merged[1]


def _logarithm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.log(values)


def _orderings(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The logarithm of the number of orders that each row of sorted numbers can stand in."""
    degree = rows.shape[1]
    logs = np.full(len(rows), math.lgamma(degree + 1))
    run = np.ones(len(rows))
    for column in range(1, degree):
        same = rows[:, column] == rows[:, column - 1]
        run = np.where(same, run + 1, 1)
        # a run of n equal numbers takes off log n!, one factor for each number that joins it
        logs -= np.where(same, np.log(run), 0.0)
    return logs
