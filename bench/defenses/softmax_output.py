"""Probabilities in place of logits."""

from __future__ import annotations

from bench.defenses.around import Around, Network


def softmax_output(network: Network) -> Around:
    """A network that answers with the softmax of its logits, of which a cross-entropy takes the softmax once more.

    Source: Carlini et al. 2019, section 4.

    >>> import torch
    >>> softmax_output(torch.nn.Identity())(torch.tensor([[1.0, 1.0]]))
    tensor([[0.5000, 0.5000]])
    """
    return Around(network, behind=lambda logits: logits.softmax(1))
