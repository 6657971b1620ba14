"""Samples as pictures in the page: PNG data URIs."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGEST = 96
"""Longest side of a picture in the page, pixels; larger ones are averaged down."""

Pixels = NDArray[np.uint8]


def as_images(values: NDArray[np.floating]) -> NDArray[np.floating] | None:
    """Samples with channels last, shape (n, height, width, 1 or 3); None when they are not images.

    Args:
        values: Shape (n, channels, height, width), or (n, height, width) for grey images.

    >>> as_images(np.zeros((5, 3, 32, 32))).shape, as_images(np.zeros((5, 2)))
    ((5, 32, 32, 3), None)
    """
    if values.ndim == 3 and min(values.shape[1:]) > 3:
        values = values[:, None]
    if values.ndim != 4 or values.shape[1] not in (1, 3):
        return None
    return np.moveaxis(values, 1, -1)


def value_range(declared: tuple[float, float] | None, images: NDArray[np.floating]) -> tuple[float, float]:
    """The values shown as black and as white: the declared range where it is bounded, else that of the images."""
    if declared is not None and all(map(math.isfinite, declared)):
        return declared
    finite = images[np.isfinite(images)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def to_pixels(images: NDArray[np.floating], low: float, high: float) -> Pixels:
    """Values as bytes: `low` and below is 0, `high` and above 255, NaN is 0."""
    scaled = (np.nan_to_num(images.astype(np.float64), nan=low) - low) / max(high - low, 1e-12)
    return (scaled.clip(0, 1) * 255).round().astype(np.uint8)


def amplification(difference: NDArray[np.floating], span: float) -> float:
    """The largest factor of one significant digit that keeps the differences in view around mid-grey, at least 1.

    Args:
        difference: Any shape, in data units.
        span: Length of the data range.

    >>> amplification(np.array([-0.3, 0.1]), 1.0), amplification(np.array([8 / 255]), 1.0)
    (1.0, 10.0)
    """
    finite = np.abs(difference[np.isfinite(difference)])
    largest = float(finite.max()) if finite.size else 0.0
    if largest == 0:
        return 1.0
    factor = span / 2 / largest
    digit = 10.0 ** math.floor(math.log10(factor))
    return max(1.0, math.floor(factor / digit) * digit)


def difference_pixels(difference: NDArray[np.floating], factor: float, span: float) -> Pixels:
    """Amplified differences around mid-grey: no difference is grey, brighter is an increase."""
    return to_pixels(0.5 + factor * difference / span, 0.0, 1.0)


def uri(pixels: Pixels, largest: int = LARGEST) -> str:
    """One picture as a data URI.

    Args:
        pixels: Shape (height, width, 1 or 3).
        largest: Longest side, pixels; a larger picture is averaged down.
    """
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    if max(picture.size) > largest:
        picture.thumbnail((largest, largest), Image.Resampling.BOX)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return png_uri(buffer.getvalue())


def png_uri(content: bytes) -> str:
    """The bytes of a PNG file as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def tile(pixels: Pixels, columns: int, gap: int = 1) -> Pixels:
    """Pictures of one size on a grid, row by row, with mid-grey between them: (height, width, channels)."""
    count, height, width, channels = pixels.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 128, np.uint8)
    for index, picture in enumerate(pixels):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet
