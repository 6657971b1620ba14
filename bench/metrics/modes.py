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
        modes: Modes with at least one high-quality point.
        high_quality: Share of points nearer than 3 standard deviations to a mode, 0 to 1.
        reverse_kl: KL(histogram of high-quality points over modes || uniform), in nats, 0 to ln(modes); ln(modes)
            when no point is of high quality.
        counts: High-quality points of each mode.
    """

    modes: int
    high_quality: float
    reverse_kl: float
    counts: NDArray[np.int64]


def coverage(samples: ArrayLike, modes: Modes) -> ModeCoverage:
    """Assign each sample to its nearest mode and count.

    Args:
        samples: Points, shape (n, 2), finite, n at least 1.
        modes: Centres and standard deviation.

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
    good = distances[np.arange(len(points)), nearest] < RADIUS * modes.deviation
    counts = np.bincount(nearest[good], minlength=len(modes.centres))
    return ModeCoverage(int((counts > 0).sum()), float(good.mean()), reverse_kl(counts), counts)


def reverse_kl(counts: ArrayLike) -> float:
    """KL(empirical || uniform) in nats of a histogram; its largest value, ln(bins), when all counts are 0.

    >>> round(reverse_kl([5, 5]), 6), round(reverse_kl([9, 0]), 6)
    (0.0, 0.693147)
    """
    histogram = np.asarray(counts, np.float64)
    if histogram.sum() == 0:
        return math.log(len(histogram))
    shares = histogram[histogram > 0] / histogram.sum()
    return max(0.0, float((shares * np.log(shares * len(histogram))).sum()))


def grid25(samples: ArrayLike) -> ModeCoverage:
    """Coverage of the 25-Gaussian grid by points of shape (n, 2).

    >>> grid25([[0.0, 0.0], [2.0, 4.0]]).modes
    2
    """
    return coverage(samples, modes_of("grid25"))


def ring8(samples: ArrayLike) -> ModeCoverage:
    """Coverage of the 8-Gaussian ring by points of shape (n, 2)."""
    return coverage(samples, modes_of("ring8"))


def mode_coverage(samples: ArrayLike, reference: ArrayLike, *, mixture: str) -> dict[str, float]:  # noqa: ARG001
    """The rows of the `modes` metric: modes, high_quality and reverse_kl."""
    result = coverage(samples, modes_of(mixture))
    return {"modes": result.modes, "high_quality": result.high_quality, "reverse_kl": result.reverse_kl}
