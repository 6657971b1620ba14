"""Mixtures of Gaussians in the plane, whose modes are known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.data.catalogue import DATA
from bench.data.catalogue import Mixture as MixtureOptions
from bench.data.samples import Samples


@dataclass(frozen=True)
class Modes:
    """The modes of a mixture of equally likely round Gaussians.

    Attributes:
        centres: Shape (modes, 2).
        deviation: Standard deviation along each axis.
    """

    centres: NDArray[np.float64]
    deviation: float


def modes_of(mixture: str) -> Modes:
    """The modes of ``grid25`` or ``ring8``.

    >>> len(modes_of("grid25").centres), modes_of("ring8").deviation
    (25, 0.01)
    """
    if mixture == "grid25":
        axis = np.arange(-4.0, 5.0, 2.0)
        return Modes(np.array([(a, b) for a in axis for b in axis]), 0.05)
    angles = 2 * math.pi * np.arange(8) / 8
    return Modes(np.stack([np.cos(angles), np.sin(angles)], 1), 0.01)


def draw(modes: Modes, count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """`count` points, shape (count, 2), and the mode each comes from; the same for the same seed."""
    random = np.random.Generator(np.random.PCG64(seed))
    which = random.integers(len(modes.centres), size=count)
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
