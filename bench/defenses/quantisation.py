"""Inputs rounded to a few levels."""

from __future__ import annotations

from torch import Tensor

from bench.defenses.around import Around, Network, staged


def quantisation(network: Network, *, levels: int = 8, declared: bool = True) -> Around:
    """A network that sees inputs rounded to `levels` values, evenly spaced over [0, 1].

    Args:
        network: Inputs in [0, 1], shape (n, ...), to logits.
        levels: How many values; 256 leave 8-bit images as they are.
        declared: Whether an attack may step over the rounding (`bpda: true`).

    Source: Xu, Evans, Qi 2018 (feature squeezing), section III; Guo et al. 2018.

    >>> import torch
    >>> quantisation(torch.nn.Identity(), levels=3)(torch.tensor([[0.2, 0.3, 0.9]]))
    tensor([[0.0000, 0.5000, 1.0000]])
    """

    def rounded(x: Tensor) -> Tensor:
        return (x * (levels - 1)).round() / (levels - 1)

    return staged(network, rounded, declared=declared)
