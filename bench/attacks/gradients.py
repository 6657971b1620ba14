"""Gradients with respect to inputs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.errors import ModelError

_NO_GRADIENT = (
    "the model gives no gradient: its output does not depend on its input through differentiable operations "
    "(is it wrapped in no_grad, or does it detach or convert its input?)"
)


def input_gradient(
    model: Callable[[Tensor], Tensor], x: Tensor, objective: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """One forward and one backward pass: the gradient of `objective` at `x`, and the model's output there.

    Args:
        model: Inputs (n, ...) to outputs (n, ...).
        x: Inputs, shape (n, ...).
        objective: Outputs to one value a sample, shape (n,). The values are summed, so that a sample's gradient
            does not depend on its batch.

    Returns:
        The gradient, shape of `x`, and the outputs, both detached. Parameters get no gradient.

    Raises:
        ModelError: The output does not depend on the input through differentiable operations.

    >>> gradient, output = input_gradient(lambda x: x**2, torch.tensor([[3.0]]), lambda out: out.sum(1))
    >>> gradient, output
    (tensor([[6.]]), tensor([[9.]]))
    """
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        output = model(point)
        if not output.requires_grad:
            raise ModelError(_NO_GRADIENT)
        (gradient,) = torch.autograd.grad(objective(output).sum(), point, allow_unused=True)
    if gradient is None:
        raise ModelError(_NO_GRADIENT)
    return gradient, output.detach()
