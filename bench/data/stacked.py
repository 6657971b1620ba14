"""Stacked MNIST: three digits as the channels of one image, a thousand modes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.data.catalogue import Mnist as MnistOptions
from bench.data.catalogue import StackedMnist as StackedOptions
from bench.data.mnist import Mnist
from bench.data.samples import Samples

_SPLITS: dict[str, tuple[Literal["train", "test"], ...]] = {
    "train": ("train",),
    "test": ("test",),
    "all": ("train", "test"),
}


class StackedMnist:
    """The source; the class of an image is the number its three digits read, from 0 to 999.

    >>> from bench.data import load_named
    >>> samples = load_named("stacked-mnist", samples=5, split="test")
    >>> samples.x.shape, samples.y.shape
    ((5, 3, 28, 28), (5,))
    """

    def fingerprint(self, options: StackedOptions) -> str:
        """The digits, the number of images and the seed."""
        digits = "+".join(Mnist().fingerprint(MnistOptions(split=part)) for part in _SPLITS[options.split])
        return f"stacked-mnist/1/{digits}/{options.samples}/{options.seed}"

    def count(self, options: StackedOptions) -> int:
        """As many as were asked for."""
        return options.samples

    def load(self, options: StackedOptions) -> Samples:
        """Images of shape (3, 28, 28), uint8; each digit of each is drawn anew, with replacement."""
        parts = [Mnist().load(MnistOptions(split=part)) for part in _SPLITS[options.split]]
        images = np.concatenate([np.asarray(part.x)[:, 0] for part in parts])
        labels = np.concatenate([part.y for part in parts if part.y is not None])
        rows = triples(len(images), options.samples, options.seed)
        if options.take is not None:
            # the draws are made for all, so that `take` gives the first of the same images
            rows = rows[: options.skip + options.take]
        return Samples(
            images[rows],
            labels[rows] @ np.array([100, 10, 1]),
            tuple(f"stacked-{index:06d}" for index in range(len(rows))),
        )


def triples(digits: int, count: int, seed: int) -> NDArray[np.int64]:
    """Which digits are stacked: rows of the images, shape (count, 3), with replacement; the same for the same seed."""
    return np.random.Generator(np.random.PCG64(seed)).integers(digits, size=(count, 3))
