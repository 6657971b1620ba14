"""Gradients with respect to inputs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.counting import CountedModel, Part
from bench.attacks.image_gradient import quick_image_gradients
from bench.errors import NoGradientError

_NO_GRADIENT = (
    "the model gives no gradient: its output does not depend on its input through differentiable operations "
    "(is it wrapped in no_grad, or does it detach or convert its input?)"
)


def input_gradient(
    model: Callable[[Tensor], Tensor], x: Tensor, objective: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """The gradient of `objective` at `x`, and the model's output there, from one forward and one backward pass.

    Of a model that is to be averaged over its own randomness (`CountedModel.averaged`), as many passes as that says:
    the mean of the objective's gradients, and the mean output (expectation over transformation).

    Args:
        model: Inputs (n, ...) to outputs (n, ...).
        x: Inputs, shape (n, ...).
        objective: Outputs to one value a sample, shape (n,). The values are summed, so that a sample's gradient
            does not depend on its batch.

    Returns:
        The gradient, shape of `x`, and the outputs, both detached. Parameters get no gradient.

    Raises:
        NoGradientError: The output does not depend on the input through differentiable operations.

    Source: of the average, Athalye, Engstrom, Ilyas, Kwok 2018, section 2.1.

    >>> gradient, output = input_gradient(lambda x: x**2, torch.tensor([[3.0]]), lambda out: out.sum(1))
    >>> gradient, output
    (tensor([[6.]]), tensor([[9.]]))
    """
    if not isinstance(model, CountedModel | Part) or model.averaged == 1:
        return _one_pass(model, x, objective)
    gradient, output = _one_pass(model.once, x, objective)
    for _ in range(model.averaged - 1):
        another, answer = _one_pass(model.once, x, objective)
        gradient, output = gradient + another, output + answer
    return gradient / model.averaged, output / model.averaged


def _one_pass(
    model: Callable[[Tensor], Tensor], x: Tensor, objective: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        with quick_image_gradients(x):
            output = model(point)
        if not output.requires_grad:
            raise NoGradientError(_NO_GRADIENT)
        (gradient,) = torch.autograd.grad(objective(output).sum(), point, allow_unused=True)
    if gradient is None:
        raise NoGradientError(_NO_GRADIENT)
    return gradient, output.detach()


def class_gradients(
    model: Callable[[Tensor], Tensor], x: Tensor, combine: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Gradients of several functions of the logits at once: one forward pass, one backward pass a function.

    Args:
        model: Inputs (n, ...) to logits (n, classes).
        x: Inputs, shape (n, ...).
        combine: Logits to k values a sample, shape (n, k).

    Returns:
        The gradients, shape (k, n, ...), and the logits, both detached.

    Raises:
        NoGradientError: The output does not depend on the input through differentiable operations.

    >>> gradients, _ = class_gradients(lambda x: x**2, torch.tensor([[3.0, 1.0]]), lambda out: out)
    >>> gradients
    tensor([[[6., 0.]],
    <BLANKLINE>
            [[0., 2.]]])
    """
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        with quick_image_gradients(x):
            output = model(point)
        if not output.requires_grad:
            raise NoGradientError(_NO_GRADIENT)
        values = combine(output).sum(0)
        gradients = []
        for index in range(len(values)):
            keep = index + 1 < len(values)
            (gradient,) = torch.autograd.grad(values[index], point, retain_graph=keep, allow_unused=True)
            if gradient is None:
                raise NoGradientError(_NO_GRADIENT)
            gradients.append(gradient)
    return torch.stack(gradients), output.detach()
