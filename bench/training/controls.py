"""What packing is compared with: GANs that judge one sample at once but have as much of something else.

Nothing here needs torch: a suite's models are known before any is trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from bench.errors import BenchError
from bench.training.options import Judge

Control = Literal["larger-discriminator", "larger-minibatch", "matched-parameters"]


def judge_of_points(options: Mapping[str, Any], shape: Sequence[int]) -> int:
    """Parameters of the discriminator of `packed-gan`: three maxout layers of five pieces, one linear layer.

    >>> judge_of_points({"packing": 1, "width": 200}, (2,))
    405201
    """
    width: int = options["width"]
    inputs, pieces = shape[0] * options["packing"], 5
    return sum((before + 1) * width * pieces for before in (inputs, width, width)) + width + 1


def judge_of_images(options: Mapping[str, Any], shape: Sequence[int]) -> int:
    """Parameters of the discriminator of `packed-images`: convolutions of stride 2, batch norm, one linear layer."""
    channels, size, _ = shape
    layout = JUDGES[options["judge"]]
    before: int = (STACKED if options["fresh"] else channels) * options["packing"]
    side, total = layout["side"], 0
    for index, times in enumerate(layout["widths"]):
        after = options["width"] * times
        total += (before * side * side + 1) * after
        total += 2 * after if layout["norm_first"] or index > 0 else 0
        before, size = after, math.ceil(size / 2)
    return total + before * size * size + 1


JUDGES: Mapping[Judge, dict[str, Any]] = {
    "large": {"widths": (1, 2, 4, 8), "side": 5, "slope": 0.2, "norm_first": False},
    "small": {"widths": (1, 2, 4), "side": 3, "slope": 0.3, "norm_first": True},
}
"""Discriminators of images: channels as multiples of the first layer's, filters, slope, batch norm of the first."""

STACKED = 3
"""Digits of an image of stacked MNIST."""

SIZES: Mapping[str, Callable[[Mapping[str, Any], Sequence[int]], int]] = {
    "packed-gan": judge_of_points,
    "packed-images": judge_of_images,
}
"""Parameters of a recipe's discriminator by its options and the shape of a sample, for recipes that have controls."""

RANKS: Mapping[str, int] = {"packed-gan": 1, "packed-images": 3}
"""Dimensions of a sample of these recipes."""


def controlled(control: Control, recipe: str, options: Mapping[str, Any], shape: Sequence[int]) -> dict[str, Any]:
    """The options of a packed GAN's control.

    - ``larger-discriminator``: not packed; the discriminator is the narrowest with at least m times the parameters.
    - ``larger-minibatch``: not packed; m times the batch, so that the discriminator sees as many samples a step.
    - ``matched-parameters``: packed; the discriminator is the widest with no more parameters than unpacked.

    Args:
        control: Which.
        recipe: A recipe of `SIZES`.
        options: The packed GAN's.
        shape: Of a sample.

    Raises:
        BenchError: Nothing is packed, or no discriminator is small enough.

    >>> packed = {"packing": 4, "width": 200, "batch_size": 100}
    >>> controlled("matched-parameters", "packed-gan", packed, (2,))["width"]
    198
    """
    packing, width = options["packing"], options["width"]
    if packing < 2:
        raise BenchError("controls are of a packed GAN; expected `packing` of 2 or more, found 1")
    alone = {**options, "packing": 1}
    if control == "larger-minibatch":
        return {**alone, "batch_size": packing * options["batch_size"]}

    def size(given: Mapping[str, Any], width: int) -> int:
        return SIZES[recipe]({**given, "width": width}, shape)

    if control == "larger-discriminator":
        wanted = packing * size(alone, width)
        return {
            **alone,
            "width": next(wide for wide in range(width, packing * width + 1) if size(alone, wide) >= wanted),
        }
    narrow = next((wide for wide in range(width, 0, -1) if size(options, wide) <= size(alone, width)), None)
    if narrow is None:
        raise BenchError(
            f"no discriminator of packs has as few parameters as the unpacked one of width {width}; make it wider"
        )
    return {**options, "width": narrow}
