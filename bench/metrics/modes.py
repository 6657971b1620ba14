"""Mode counts of samples from a mixture whose modes are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.data.mixtures import Modes, modes_of
from bench.errors import MetricError

RADIUS = 3.0
"""A point is of high quality when it lies nearer to a mode than this many standard deviations."""


@dataclass(frozen=True)
class ModeCoverage:
    """How well samples cover the modes.

    Attributes:
        modes: Modes with at least `least` high-quality points.
        high_quality: Share of points nearer than `radius` standard deviations to a mode, 0 to 1.
        reverse_kl: KL(histogram of high-quality points over modes || the mixture's shares), in nats; its largest
            value when no point is of high quality.
        reverse_kl_all: The same of all points, each counted for its nearest mode.
        jsd: Jensen-Shannon divergence of the histogram of high-quality points and the shares, in nats, 0 to ln 2;
            ln 2 when no point is of high quality.
        counts: High-quality points of each mode.
        counts_all: Points of each mode that are nearest to it.
    """

    modes: int
    high_quality: float
    reverse_kl: float
    reverse_kl_all: float
    jsd: float
    counts: NDArray[np.int64]
    counts_all: NDArray[np.int64]


def coverage(samples: ArrayLike, modes: Modes, *, radius: float = RADIUS, least: int = 1) -> ModeCoverage:
    """Assign each sample to its nearest mode and count.

    Args:
        samples: Points, shape (n, 2), finite, n at least 1.
        modes: Centres, standard deviation and shares.
        radius: Standard deviations within which a point is of high quality, strictly.
        least: High-quality points that a mode needs to count.

    Raises:
        MetricError: Another shape, or points that are not finite.

    Source: Srivastava et al. 2017 (VEEGAN), section 5.1; Lin et al. 2018 (PacGAN), section 4.1, whose code counts a
    mode with one high-quality point as recovered.

    >>> coverage([[1.0, 0.0], [5.0, 5.0]], modes_of("ring8")).modes
    1
    """
    points = np.asarray(samples, np.float64)
    if points.ndim != 2 or points.shape[1] != modes.centres.shape[1] or len(points) == 0:
        raise MetricError(f"expected points of shape (n, {modes.centres.shape[1]}), found {points.shape}")
    if not np.isfinite(points).all():
        raise MetricError(f"{int((~np.isfinite(points).all(1)).sum())} of {len(points)} points are NaN or infinite")
    distances = np.linalg.norm(points[:, None, :] - modes.centres[None, :, :], axis=2)
    nearest = distances.argmin(1)
    good = distances[np.arange(len(points)), nearest] < radius * modes.deviation
    counts, counts_all = (np.bincount(each, minlength=len(modes.centres)) for each in (nearest[good], nearest))
    return ModeCoverage(
        modes=int((counts >= least).sum()),
        high_quality=float(good.mean()),
        reverse_kl=reverse_kl(counts, modes.shares),
        reverse_kl_all=reverse_kl(counts_all, modes.shares),
        jsd=jensen_shannon(counts, modes.shares),
        counts=counts,
        counts_all=counts_all,
    )


def reverse_kl(counts: ArrayLike, shares: ArrayLike | None = None) -> float:
    """KL(empirical || target) in nats of a histogram; its largest value when all counts are 0.

    Args:
        counts: Shape (k,).
        shares: The target's probabilities, shape (k,), all above 0; uniform when left out.

    >>> round(reverse_kl([5, 5]), 6), round(reverse_kl([9, 0]), 6), round(reverse_kl([6, 2], [0.75, 0.25]), 6)
    (0.0, 0.693147, 0.0)
    """
    histogram = np.asarray(counts, np.float64)
    target = np.full(len(histogram), 1 / len(histogram)) if shares is None else np.asarray(shares, np.float64)
    if histogram.sum() == 0:
        return -math.log(target.min())
    there = histogram > 0
    found = histogram[there] / histogram.sum()
    return max(0.0, float((found * np.log(found / target[there])).sum()))


def jensen_shannon(counts: ArrayLike, shares: ArrayLike | None = None) -> float:
    """The Jensen-Shannon divergence of a histogram and a target in nats, 0 to ln 2; ln 2 when all counts are 0.

    >>> round(jensen_shannon([5, 5]), 6), round(jensen_shannon([9, 0]), 6)
    (0.0, 0.215762)
    """
    histogram = np.asarray(counts, np.float64)
    target = np.full(len(histogram), 1 / len(histogram)) if shares is None else np.asarray(shares, np.float64)
    if histogram.sum() == 0:
        return math.log(2)
    found = histogram / histogram.sum()
    middle = (found + target) / 2
    return (reverse_kl(found, middle) + reverse_kl(target, middle)) / 2


def grid25(samples: ArrayLike) -> ModeCoverage:
    """Coverage of the 25-Gaussian grid by points of shape (n, 2).

    >>> grid25([[0.0, 0.0], [2.0, 4.0]]).modes
    2
    """
    return coverage(samples, modes_of("grid25"))


def ring8(samples: ArrayLike) -> ModeCoverage:
    """Coverage of the 8-Gaussian ring by points of shape (n, 2)."""
    return coverage(samples, modes_of("ring8"))


def mode_coverage(
    samples: ArrayLike,
    reference: ArrayLike,  # noqa: ARG001
    *,
    mixture: str,
    radius: float,
    least: int,
) -> dict[str, float]:
    """The rows of the `modes` metric."""
    result = coverage(samples, modes_of(mixture), radius=radius, least=least)
    return {
        "modes": result.modes,
        "high_quality": result.high_quality,
        "reverse_kl": result.reverse_kl,
        "reverse_kl_all": result.reverse_kl_all,
        "jsd": result.jsd,
    }
