"""Calling a model so that a sample's result does not depend on how many others are in its batch."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def least_rows(device: torch.device) -> int:
    """Rows below which a CPU's matrix kernels round differently from those for wide batches; 1 elsewhere."""
    return max(16, 8 * torch.get_num_threads()) if device.type == "cpu" else 1


WIDEST = 256
"""Rows a CPU gets at once: beyond, what the layers write no longer fits its caches, and a row takes up to half as long
again. Attacks may then hold more samples at a time, whose last survivors still make a wide batch."""


def call_padded(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The model's output for `x`, shape (n, ...): narrow batches are filled up by repeating the last, wide ones parted.

    On CPUs, matrix products of fewer than about four rows a thread go through other kernels, which sum in another
    order. A rounding difference can flip a gradient's sign and, forty steps later, an outcome. From `least_rows` on,
    layers whose widths are multiples of eight gave the same result bit for bit in every batch we tried; with odd
    widths a row's position still moves the last bit.

    >>> call_padded(lambda x: x.sum(1), torch.ones(2, 3))
    tensor([3., 3.])
    """
    if x.device.type == "cpu" and len(x) > WIDEST:
        # split, not tensor_split: each slice of that one would give back a gradient as wide as the whole batch
        width = math.ceil(len(x) / math.ceil(len(x) / WIDEST))
        return torch.cat([model(part) for part in torch.split(x, width)])
    missing = least_rows(x.device) - x.shape[0]
    if missing <= 0 or x.shape[0] == 0:
        return model(x)
    filler = x[-1:].detach().expand(missing, *x.shape[1:])
    return model(torch.cat([x, filler]))[: x.shape[0]]
