"""A gradient of zero."""

from __future__ import annotations

from torch import Tensor

from bench.defenses.around import Around, Network, staged


def zero_gradient(network: Network, *, declared: bool = True) -> Around:
    """A network whose input gradient is zero, whatever the loss, and whose answers are as before.

    Args:
        network: Inputs (n, ...) to logits.
        declared: Whether an attack may step over the stage that stops the gradient (`bpda: true`).

    Source: the simplest case of Athalye, Carlini, Wagner 2018, section 3 (shattered gradients).

    >>> import torch
    >>> x = torch.ones(1, 2, requires_grad=True)
    >>> torch.autograd.grad(zero_gradient(torch.nn.Identity())(x).sum(), x)[0]
    tensor([[0., 0.]])
    """

    def still(x: Tensor) -> Tensor:
        return x.detach() + 0 * x

    return staged(network, still, declared=declared)
