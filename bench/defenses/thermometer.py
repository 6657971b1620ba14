"""Inputs in a thermometer code."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.defenses.around import Around, Network, staged


def thermometer(network: Network, *, levels: int = 10, declared: bool = True) -> Around:
    """A network that sees, of each input's thermometer code, the share of the bits that are set.

    Bit k of the code says whether the input lies above k / levels. The paper's networks are trained on the bits; the
    mean of the bits is what a network that was not can read.

    Args:
        network: Inputs in [0, 1], shape (n, ...), to logits.
        levels: Bits of the code.
        declared: Whether an attack may step over the code (`bpda: true`).

    Source: Buckman, Roy, Raffel, Goodfellow 2018.

    >>> thermometer(torch.nn.Identity(), levels=4)(torch.tensor([[0.0, 0.2, 0.3, 0.9]]))
    tensor([[0.0000, 0.2500, 0.5000, 1.0000]])
    """

    def coded(x: Tensor) -> Tensor:
        bits = x[..., None] > torch.arange(levels, device=x.device) / levels
        return bits.to(x.dtype).mean(-1)

    return staged(network, coded, declared=declared)
