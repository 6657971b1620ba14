"""What all recipes share: the data they get, the order they see it in, the log they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.randomness import derive_seed

Report = Callable[[float], None]
"""Told the share of the training that is done, from 0 to 1."""


@dataclass(frozen=True)
class TrainingData:
    """A training set on the device it is used on.

    Attributes:
        x: Inputs in the data range, shape (n, ...), float32.
        y: Classes, shape (n,), int64; None where there are none.
    """

    x: Tensor
    y: Tensor | None = None

    def labels(self) -> Tensor:
        """The classes, for recipes that cannot do without."""
        if self.y is None:
            raise ValueError("this recipe needs labelled data, and the data set has no labels")
        return self.y


@dataclass
class TrainingLog:
    """Figures of a training, one entry an epoch (or a stated number of iterations)."""

    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **figures: float) -> None:
        """Append one entry to each named series."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(round(float(value), 6))


def batches(size: int, batch_size: int, *, epochs: int, seed: int) -> Iterator[tuple[int, Tensor]]:
    """Epoch number and row indices of each batch: a new order an epoch, the same for the same seed.

    >>> [index.tolist() for _, index in batches(4, 2, epochs=1, seed=0)]
    [[3, 1], [2, 0]]
    """
    for epoch in range(epochs):
        generator = torch.Generator().manual_seed(derive_seed(seed, "order", epoch))
        order = torch.randperm(size, generator=generator)
        for start in range(0, size, batch_size):
            yield epoch, order[start : start + batch_size]
