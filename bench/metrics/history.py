"""Which modes of a mixture a generator hits over its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.data.mixtures import Modes, modes_of
from bench.errors import MetricError
from bench.metrics.catalogue import FEWEST_LOOKS
from bench.metrics.measured import Measured
from bench.metrics.modes import RADIUS, coverage


@dataclass(frozen=True)
class History:
    """Points of each mode at each look; L looks, k modes.

    Attributes:
        iterations: After how many iterations each look was, rising, shape (L,).
        histogram: High-quality points of each mode, shape (L, k).
        outside: Points that are near no mode, shape (L,).
        least: High-quality points that a mode needs to count as hit.
    """

    iterations: NDArray[np.int64]
    histogram: NDArray[np.int64]
    outside: NDArray[np.int64]
    least: int = 1

    @property
    def hit(self) -> NDArray[np.bool_]:
        """Which modes are hit at each look, shape (L, k)."""
        return self.histogram >= self.least

    @property
    def to_all_modes(self) -> int | None:
        """Iterations until the first look at which every mode is hit; None when there is no such look."""
        whole = np.flatnonzero(self.hit.all(1))
        return int(self.iterations[whole[0]]) if len(whole) else None

    @property
    def lost(self) -> int:
        """How often a mode that was hit at one look was not hit at the next."""
        return int((self.hit[:-1] & ~self.hit[1:]).sum())


def follow(looks: Mapping[int, ArrayLike], modes: Modes, *, radius: float = RADIUS, least: int = 1) -> History:
    """Count the points of each look by mode.

    Args:
        looks: What a generator made of a fixed noise, shape (n, 2), by how many iterations it had been trained.
        modes: Centres, standard deviation and shares.
        radius: Standard deviations within which a point is of high quality, strictly.
        least: High-quality points that a mode needs to count as hit.

    Raises:
        MetricError: Fewer than two looks, another shape, or points that are not finite.

    Source: the definitions of `bench.metrics.modes.coverage`, at each look; a fixed noise as in PacGAN's released code.

    >>> found = follow({10: [[1.0, 0.0]], 20: [[0.0, 1.0]]}, modes_of("ring8"))
    >>> found.histogram[:, [0, 2]].tolist(), found.lost, found.to_all_modes
    ([[1, 0], [0, 1]], 1, None)
    """
    if len(looks) < FEWEST_LOOKS:
        raise MetricError(
            f"expected at least {FEWEST_LOOKS} looks, found {len(looks)}; set `looks` in the model's `train:`"
        )
    iterations, histogram, outside = sorted(looks), [], []
    for at in iterations:
        points = np.asarray(looks[at])
        try:
            counts = coverage(points, modes, radius=radius, least=least).counts
        except MetricError as error:
            raise MetricError(f"the look after {at} iterations: {error}") from error
        histogram.append(counts)
        outside.append(len(points) - int(counts.sum()))
    return History(np.array(iterations), np.stack(histogram), np.array(outside), least)


def mode_history(looks: Mapping[int, ArrayLike], *, mixture: str, radius: float, least: int) -> Measured:
    """The rows of the `history` metric; a training that never hit all modes has no `iterations_to_all_modes`."""
    found = follow(looks, modes_of(mixture), radius=radius, least=least)
    first, last = found.to_all_modes, int(found.iterations[-1])
    points = int(found.histogram[0].sum() + found.outside[0])
    return Measured(
        {"iterations_to_all_modes": first, "modes_lost": found.lost},
        {"iterations": found.iterations, "histogram": found.histogram, "outside": found.outside},
        f"{len(looks)} looks, the last after {last:,} iterations, of {points:,} points each",
        {} if first is not None else {"iterations_to_all_modes": last},
    )
