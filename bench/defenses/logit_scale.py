"""Logits multiplied by a constant."""

from __future__ import annotations

from bench.defenses.around import Around, Network


def logit_scale(network: Network, *, factor: float = 1e4) -> Around:
    """A network whose logits are multiplied by a constant: its answers stay, its softmax saturates.

    Source: Carlini and Wagner 2016, of distilled networks, whose logits are as large.

    >>> import torch
    >>> logit_scale(torch.nn.Identity(), factor=10)(torch.tensor([[1.0, 2.0]]))
    tensor([[10., 20.]])
    """
    return Around(network, behind=lambda logits: factor * logits)
