"""Stages of a model that have no useful gradient, declared so that an attack can step over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

_SUBSTITUTING: ContextVar[bool] = ContextVar("substituting", default=False)


@contextmanager
def substituting(on: bool) -> Iterator[None]:
    """Within the block, gradients pass through declared stages by their substitutes, if `on`."""
    token = _SUBSTITUTING.set(on)
    try:
        yield
    finally:
        _SUBSTITUTING.reset(token)


class Stage(nn.Module):
    """A stage of a model, such as quantisation or JPEG, that a gradient does not pass or passes wrongly.

    Forwards it is always itself. An attack with the option ``bpda: true`` gets the gradient of the substitute instead
    of its own (backward pass differentiable approximation); any other attack gets what the stage gives.

    Args:
        function: Inputs (n, ...) to inputs, of any kind.
        substitute: A differentiable function of the same shapes that is close to it; the identity when left out.

    Source: Athalye, Carlini, Wagner 2018, section 4.1.1.

    >>> rounding = Stage(torch.round)
    >>> x = torch.tensor([0.3, 0.8], requires_grad=True)
    >>> with substituting(True):
    ...     torch.autograd.grad(rounding(x).sum(), x)[0]
    tensor([1., 1.])
    >>> torch.autograd.grad(rounding(x).sum(), x)[0]
    tensor([0., 0.])
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], substitute: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        super().__init__()
        self.function = function
        self.substitute = substitute

    def forward(self, x: Tensor) -> Tensor:
        """The stage's output, with the gradient the attack asked for."""
        if not (_SUBSTITUTING.get() and torch.is_grad_enabled() and x.requires_grad):
            return self.function(x)
        with torch.no_grad():
            value = self.function(x)
        close = x if self.substitute is None else self.substitute(x)
        return replaced(close, value)


def replaced(close: Tensor, value: Tensor) -> Tensor:
    """The value of one tensor with the gradient of another, both of one shape.

    >>> x = torch.tensor([0.3], requires_grad=True)
    >>> float(replaced(x, x.round()).sum()), torch.autograd.grad(replaced(x, x.round()).sum(), x)[0]
    (0.0, tensor([1.]))
    """
    passed: Tensor = _Replaced.apply(close, value)
    return passed


class _Replaced(torch.autograd.Function):
    """One tensor's value with another's gradient; adding a difference would round the value."""

    @staticmethod
    def forward(ctx: Any, close: Tensor, value: Tensor) -> Tensor:  # noqa: ARG004
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return gradient, None
