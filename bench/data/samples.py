"""The samples of a data set, as NumPy arrays: no torch is needed to plan a run or to read its results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError


@dataclass(frozen=True)
class DataInfo:
    """What planning needs to know of a data set.

    Attributes:
        fingerprint: Names the samples and their order, before `skip` and `take`.
        count: How many samples there are after `skip` and `take`.
        skip: Position of the first sample.
        low: Smallest valid input value.
        high: Largest valid input value.
    """

    fingerprint: str
    count: int
    skip: int = 0
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Samples:
    """A data set, or a stretch of one.

    Attributes:
        x: Inputs, shape (n, ...): uint8 images (divided by 255 on use) or floats.
        y: Classes, shape (n,), int64; None where there are none.
        ids: One name a sample, the same in every run.
    """

    x: NDArray[np.generic]
    y: NDArray[np.int64] | None
    ids: Sequence[str]

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.x)

    def stretch(self, start: int, stop: int) -> Samples:
        """Samples start, ..., stop - 1."""
        labels = None if self.y is None else self.y[start:stop]
        return Samples(self.x[start:stop], labels, self.ids[start:stop])

    def inputs(self) -> NDArray[np.float32]:
        """The inputs as float32, uint8 scaled to [0, 1]."""
        if self.x.dtype == np.uint8:
            return self.x.astype(np.float32) / np.float32(255)
        return self.x.astype(np.float32)


def checked(samples: Samples, *, name: str, low: float, high: float) -> Samples:
    """The samples, if they are what a data set must be.

    Raises:
        DataError: No samples, unequal lengths, labels that are not whole numbers from 0, values that are not
            finite or lie outside [low, high].
    """
    if samples.x.size == 0:
        raise DataError(f"data '{name}': expected at least one sample, found an array of shape {samples.x.shape}")
    if samples.x.dtype == np.uint8 and np.isfinite([low, high]).all() and (low, high) != (0.0, 1.0):
        raise DataError(
            f"data '{name}': uint8 inputs are divided by 255 and so lie in [0, 1], but the declared range is "
            f"[{low:g}, {high:g}]; leave `range` out, or store the inputs as floats"
        )
    if samples.y is not None:
        if samples.y.shape != (len(samples.x),):
            raise DataError(
                f"data '{name}': expected one label a sample, found {len(samples.x)} samples and labels of "
                f"shape {tuple(samples.y.shape)}"
            )
        if samples.y.min() < 0:
            raise DataError(f"data '{name}': expected classes from 0 up, found {int(samples.y.min())}")
    values = samples.inputs()
    if not np.isfinite(values).all():
        raise DataError(f"data '{name}': {int((~np.isfinite(values)).sum())} values are NaN or infinite")
    if values.min() < low - 1e-6 or values.max() > high + 1e-6:
        raise DataError(
            f"data '{name}': expected values in [{low:g}, {high:g}], found [{values.min():g}, {values.max():g}]; "
            f"scale the data, or declare its range with `range: [low, high]`"
        )
    return samples


def as_inputs(values: NDArray[np.generic], *, name: str) -> NDArray[np.generic]:
    """Inputs as they are; a `DataError` when they are not (n, ...) floats or uint8."""
    if values.ndim < 2:
        raise DataError(f"data '{name}': expected inputs of shape (n, ...), found an array of shape {values.shape}")
    if values.dtype != np.uint8 and not np.issubdtype(values.dtype, np.floating):
        raise DataError(f"data '{name}': expected inputs as floats or uint8, found {values.dtype}")
    return values


def as_labels(values: NDArray[np.generic], *, name: str) -> NDArray[np.int64]:
    """Classes as int64; a `DataError` when they are not whole numbers."""
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(f"data '{name}': expected whole numbers as classes, found an array of {values.dtype}")
    return values.astype(np.int64)
