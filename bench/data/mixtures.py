"""Mixtures of Gaussians in the plane, whose modes are known."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.data.catalogue import DATA
from bench.data.catalogue import Mixture as MixtureOptions
from bench.data.samples import Samples


@dataclass(frozen=True)
class Modes:
    """The modes of a mixture of round Gaussians.

    Attributes:
        centres: Shape (modes, 2).
        deviation: Standard deviation along each axis.
        shares: Probability of each mode, shape (modes,).
    """

    centres: NDArray[np.float64]
    deviation: float
    shares: NDArray[np.float64]


def _equal(centres: NDArray[np.float64], deviation: float) -> Modes:
    return Modes(centres, deviation, np.full(len(centres), 1 / len(centres)))


def _grid(scale: float = 1.0) -> Modes:
    axis = np.arange(-4.0, 5.0, 2.0)
    return _equal(np.array([(a, b) for a in axis for b in axis]) / scale, 0.05 / scale)


def _ring(radius: float = 1.0, deviation: float = 0.01, modes: int = 8) -> Modes:
    angles = 2 * math.pi * np.arange(modes) / modes
    return _equal(radius * np.stack([np.cos(angles), np.sin(angles)], 1), deviation)


def _ring_that_ends_where_it_begins() -> Modes:
    """Eight angles from 0 to a full turn, both included: seven modes, the first as likely as two others."""
    return replace(_ring(modes=7), shares=np.array([2.0] + [1.0] * 6) / 8)


_MIXTURES: dict[str, Callable[[], Modes]] = {
    "grid25": _grid,
    "grid25-wgan": lambda: _grid(2.828),
    "ring8": _ring,
    "ring8-unrolled": _ring_that_ends_where_it_begins,
    "ring8-wgan": lambda: _ring(2 / 1.414, 0.02 / 1.414),
}


def modes_of(mixture: str) -> Modes:
    """The modes of a mixture, by the name of its data source.

    >>> len(modes_of("grid25").centres), modes_of("ring8").deviation, modes_of("ring8-unrolled").shares[:2]
    (25, 0.01, array([0.25 , 0.125]))
    """
    return _MIXTURES[mixture]()


def draw(modes: Modes, count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """`count` points, shape (count, 2), and the mode each comes from; the same for the same seed."""
    random = np.random.Generator(np.random.PCG64(seed))
    if np.ptp(modes.shares) == 0:
        which = random.integers(len(modes.centres), size=count)
    else:
        which = random.choice(len(modes.centres), size=count, p=modes.shares)
    points = modes.centres[which] + modes.deviation * random.standard_normal((count, 2))
    return points.astype(np.float32), which


class Mixture:
    """The source of a mixture; the class of a point is its mode."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.modes = modes_of(DATA[name].traits["mixture"])

    def fingerprint(self, options: MixtureOptions) -> str:
        """The points follow from the name, their number and the seed."""
        return f"{self.name}/{DATA[self.name].version}/{options.samples}/{options.seed}"

    def count(self, options: MixtureOptions) -> int:
        """As many as were asked for."""
        return options.samples

    def load(self, options: MixtureOptions) -> Samples:
        """The points, float32, in the order they were drawn."""
        points, which = draw(self.modes, options.samples, options.seed)
        return Samples(points, which, tuple(f"{self.name}-{index:06d}" for index in range(len(points))))
