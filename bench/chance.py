"""How likely a difference is if there is none."""

from __future__ import annotations

import math


def at_least(count: int, tosses: int) -> float:
    """P(X >= count) for X binomial of fair coins: the one-sided exact test of McNemar.

    Exact: the tail is summed in whole numbers.

    >>> at_least(7, 7), at_least(0, 0), at_least(1, 2)
    (0.0078125, 1.0, 0.75)
    """
    if count <= 0:
        return 1.0
    term, tail = math.comb(tosses, count), 0
    for k in range(count, tosses + 1):
        tail += term
        term = term * (tosses - k) // (k + 1)
    return tail / (1 << tosses)
