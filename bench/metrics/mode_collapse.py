"""The mode-collapse region of samples from a mixture whose modes are known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.data.mixtures import Modes, modes_of
from bench.metrics.collapse import collapse_region, expected_distance, packed_total_variation
from bench.metrics.measured import Measured
from bench.metrics.modes import RADIUS, coverage


def outcomes(
    samples: ArrayLike, modes: Modes, *, radius: float = RADIUS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a point can be, and how often it is that in the mixture and among samples.

    A point is a high-quality point of one of the modes, or, as one outcome more, of none. The mixture itself has points
    of that last kind, exp(-radius^2 / 2) of them: 1.1 % at three standard deviations. So many points of the mixture are
    at no distance from it, and those of a generator at most at the distance of its law from the mixture's.

    Args:
        samples: Points, shape (n, 2), finite, n at least 1.
        modes: Centres, standard deviation and shares.
        radius: Standard deviations within which a point is of high quality, strictly.

    Returns:
        The mixture's probabilities and the samples' shares, each of shape (modes + 1,), the outside last.

    Raises:
        MetricError: Another shape, or points that are not finite.

    >>> p, q = outcomes([[1.0, 0.0], [5.0, 5.0]], modes_of("ring8"))
    >>> p[[0, -1]].round(4), q[[0, -1]]
    (array([0.1236, 0.0111]), array([0.5, 0.5]))
    """
    found = coverage(samples, modes, radius=radius)
    outside = math.exp(-(radius**2) / 2)
    p = np.append(modes.shares * (1 - outside), outside)
    q = np.append(found.counts, found.counts_all.sum() - found.counts.sum()) / found.counts_all.sum()
    return p, q


def mode_collapse(
    samples: ArrayLike,
    reference: ArrayLike,  # noqa: ARG001
    *,
    mixture: str,
    radius: float,
    packs: int,
) -> Measured:
    """The rows of the `collapse_region` metric, and the region's boundary.

    Source: Lin, Khetan, Fanti, Oh 2018, section 3, for the histogram of modes in place of the law.
    """
    p, q = outcomes(samples, modes_of(mixture), radius=radius)
    n = len(np.asarray(samples))
    values = {
        "total_variation" if degree == 1 else f"total_variation_{degree}": packed_total_variation(p, q, degree)
        for degree in range(1, packs + 1)
    }
    epsilon, delta = collapse_region(p, q)
    away = expected_distance(p, n)
    note = f"{n:,} points of the data itself would be {away:.3g} away on average (packs of one)"
    return Measured(values, {"epsilon": epsilon, "delta": delta}, note)
